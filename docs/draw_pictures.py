"""Draw the pictures of the map of the code as SVG: the packages in their layers, and the way of one append."""

from collections.abc import Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from docs.read_code import Step, import_graph, imports_of, layers_of, module_path, summary_of, without_detours

APPS = ("projections", "events")

BOX_WIDTH, BOX_HEIGHT, ROW, MARGIN, WIDTH = 126, 40, 80, 24, 1000
STYLE = """
  <style>
    text { font: 13px -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2933 }
    .title { font-size: 17px; font-weight: 600 }
    .name { font-weight: 600 }
    .code { font: 600 12px ui-monospace, Menlo, "DejaVu Sans Mono", monospace }
    .small { font-size: 11px; fill: #52606d }
    .panel { fill: #f5f7fa; stroke: #cbd2d9 }
    .package { fill: #cfe4f7; stroke: #3e7cb1 }
    .module { fill: #ffffff; stroke: #7b8794 }
    .sql { fill: #dff3e3; stroke: #3f9142 }
    .line { fill: none; stroke: #829ab1; stroke-width: 1.2 }
    .tip { fill: #829ab1 }
  </style>
  <defs>
    <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
      <path class="tip" d="M0 0 L8 4 L0 8 z"/>
    </marker>
  </defs>"""


def _svg(title: str, height: int, parts: Sequence[str]) -> str:
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    back = f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>'
    return "\n  ".join([head, f"<title>{escape(title)}</title>" + STYLE, back, *parts]) + "\n</svg>\n"


def packages_picture() -> str:
    parts: list[str] = []
    top = MARGIN
    parts += [
        _box("panel", MARGIN, top, WIDTH - 2 * MARGIN, 52),
        _text("title", MARGIN + 16, top + 32, "eventstore_project"),
        _text("small", MARGIN + 210, top + 31, "the demo: a shop that uses both apps"),
        _arrow(WIDTH // 2, top + 52, WIDTH // 2, top + 80),
    ]
    top += 80
    for app in APPS:
        height = ROW * len(layers_of(app)) + 24
        parts += _app_panel(app, top, height)
        top += height
        if app != APPS[-1]:
            parts.append(_arrow(WIDTH // 2, top, WIDTH // 2, top + 28))
            top += 28
    return _svg("The packages of the project, in layers", top + MARGIN, parts)


def _app_panel(app: str, top: int, height: int) -> Iterator[str]:
    yield _box("panel", MARGIN, top, WIDTH - 2 * MARGIN, height)
    yield _text("title", MARGIN + 16, top + 30, app)
    rows, links = _rows(app)
    places = _placed(rows, links)
    for (row, name), followers in links.items():
        y = top + 40 + row * ROW
        for each in followers:
            x, to_x = places[row, name], places[row + 1, each]
            passes_by = each not in layers_of(app)[row + 1]
            yield _arrow(x, y + BOX_HEIGHT, to_x, y + ROW, has_tip=not passes_by)
            if passes_by:
                yield f'<path class="line" d="M{to_x} {y + ROW} V{y + ROW + BOX_HEIGHT}"/>'
    for row, layer in enumerate(layers_of(app)):
        for name in layer:
            module, x, y = f"{app}.{name}", places[row, name], top + 40 + row * ROW
            modules = [
                each
                for each in import_graph().find_descendants(module)
                if not module_path(each).endswith("__init__.py")
            ]
            kind = "package" if modules else "module"
            yield _box(kind, x - BOX_WIDTH // 2, y, BOX_WIDTH, BOX_HEIGHT, summary_of(module_path(module)) or name)
            yield _text("name", x, y + (17 if modules else 25), name, centred=True)
            if modules:
                yield _text("small", x, y + 32, f"{len(modules)} module{'s' * (len(modules) > 1)}", centred=True)


def _rows(app: str) -> tuple[list[list[str]], dict[tuple[int, str], list[str]]]:
    """Return the rows of the picture, and what each place in them leads to in the next row.

    A line that passes a row has a place of its own in it, `to NAME`, so that it does not run behind a box. Lines that
    lead to the same box share it.
    """
    rows = [list(layer) for layer in layers_of(app)]
    row_of = {name: row for row, layer in enumerate(rows) for name in layer}
    links: dict[tuple[int, str], list[str]] = {}
    for name, imported in sorted(without_detours(imports_of(app)).items()):
        for each in sorted(imported):
            if row_of[each] <= row_of[name]:
                raise LookupError(f"{app}.{name} imports {app}.{each}, which does not lie below it; see `make lint`")
            place = name
            for row in range(row_of[name], row_of[each]):
                following = each if row + 1 == row_of[each] else f"to {each}"
                if following not in rows[row + 1]:
                    rows[row + 1].append(following)
                if following not in links.setdefault((row, place), []):
                    links[row, place].append(following)
                place = following
    return rows, links


def _placed(rows: list[list[str]], links: Mapping[tuple[int, str], list[str]]) -> dict[tuple[int, str], int]:
    """Return the middle of each place.

    Each row is sorted by the places that it is linked to, several times, so that few lines cross.
    """
    neighbours: dict[tuple[int, str], list[tuple[int, str]]] = {}
    for (row, name), followers in links.items():
        for each in followers:
            neighbours.setdefault((row, name), []).append((row + 1, each))
            neighbours.setdefault((row + 1, each), []).append((row, name))
    places: dict[tuple[int, str], int] = {}

    def place(row: int) -> None:
        widths = [34 if name.startswith("to ") else BOX_WIDTH + 26 for name in rows[row]]
        x = (WIDTH - sum(widths)) // 2
        for name, width in zip(rows[row], widths, strict=True):
            places[row, name] = x + width // 2
            x += width

    for row in range(len(rows)):
        place(row)
    for sweep in range(12):
        for row in range(len(rows)) if sweep % 2 else reversed(range(len(rows))):
            toward = -1 if sweep % 2 else 1

            def middle(name: str, row: int = row, toward: int = toward) -> float:
                near = [places[each] for each in neighbours.get((row, name), ()) if each[0] == row + toward]
                return sum(near) / len(near) if near else places[row, name]

            rows[row].sort(key=middle)
            place(row)
    return places


def append_picture(steps: Sequence[Step]) -> str:
    parts: list[str] = []
    height, indent = 56, 34
    for number, step in enumerate(steps):
        x, y = MARGIN + step.depth * indent, MARGIN + number * height
        if step.depth:
            caller = max(index for index in range(number) if steps[index].depth == step.depth - 1)
            line_x, from_y = x - indent + 14, MARGIN + caller * height + BOX_HEIGHT + 4
            parts.append(f'<path class="line" d="M{line_x} {from_y} V{y + 22} H{x - 2}" marker-end="url(#tip)"/>')
        kind = "sql" if step.path.endswith(".sql") else "module"
        parts += [
            _box(kind, x, y, WIDTH - MARGIN - x, BOX_HEIGHT + 4),
            _text("code", x + 10, y + 18, step.name),
            _text("small", x + 10, y + 35, _shortened(step.summary, (WIDTH - MARGIN - x - 20) // 6)),
        ]
    return _svg("The way of one append", 2 * MARGIN + len(steps) * height - 12, parts)


def _box(kind: str, x: int, y: int, width: int, height: int, tip: str = "") -> str:
    inside = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="6">{inside}</rect>'


def _text(kind: str, x: int, y: int, text: str, centred: bool = False) -> str:
    anchor = ' text-anchor="middle"' if centred else ""
    return f'<text class="{kind}" x="{x}" y="{y}"{anchor}>{escape(text)}</text>'


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most].rpartition(" ")[0] + " …"


def _arrow(x: int, y: int, to_x: int, to_y: int, *, has_tip: bool = True) -> str:
    middle = (y + to_y) // 2
    tip = ' marker-end="url(#tip)"' if has_tip else ""
    return f'<path class="line" d="M{x} {y} C{x} {middle} {to_x} {middle} {to_x} {to_y}"{tip}/>'
