"""Draw the map of the code in docs/architecture.md from its imports, calls and docstrings: `make architecture`.

It writes the parts of the page between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and two pictures. The
layers are those of the import contracts in pyproject.toml; the arrows are the imports that grimp, import-linter's
engine, finds. A test compares the committed page and pictures with what this module makes.
"""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import grimp

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES_PICTURE = ROOT / "docs" / "images" / "architecture.svg"
APPEND_PICTURE = ROOT / "docs" / "images" / "append.svg"
APPS = ("projections", "events")

# What newcomers look for: the question, the folder, and the name that is defined in one file of that folder.
PLACES = [
    ("is an expected version checked?", "events/storage/sql", "events_check_version"),
    ("is an event rejected before it reaches the database?", "events", "validate_events"),
    ("is an append rejected in the database?", "events/storage/sql", "events_reject"),
    ("is the order of the log guaranteed, on the side of the writers?", "events/storage/sql", "events_hold_floor"),
    (
        "is the order of the log guaranteed, on the side of the readers?",
        "events/storage/sql",
        "events_settled_position",
    ),
    ("is a stored row turned into an `Event`?", "events", "hydrate"),
    ("is a handler subscribed by type?", "events", "subscribe"),
    ("is a seal checked?", "events/integrity", "Verification"),
    ("do I add an HTTP filter?", "events/api", "EventFilter"),
    ("is a batch of events handled?", "projections/engine", "run_pass"),
    ("does a failing event get parked?", "projections/engine", "park"),
    ("is the lag of a projection computed?", "projections/operations", "lag_events"),
    ("does a rebuild swap its rows in?", "projections/rebuild", "swap"),
]


class Call(NamedTuple):
    """A step on the way of an append: a function, and those that it calls, in their order."""

    module: str
    function: str
    calls: Sequence["Call"] = ()


# The steps that matter; each caller is checked to name those that it calls. The SQL functions follow from their files.
APPEND = Call(
    "events.api.views.aggregates",
    "AggregateEvents.post",
    [
        Call("events.api.appending", "read"),
        Call(
            "events.api.appending",
            "append",
            [
                Call(
                    "events.store",
                    "EventStore.dispatch",
                    [
                        Call("events.validation", "validate_events"),
                        Call(
                            "events.store",
                            "append_and_send",
                            [
                                Call("events.subscriptions", "has_subscribers"),
                                Call(
                                    "events.storage.writer",
                                    "append",
                                    [
                                        Call(
                                            "events.models", "Event.many_from_db", [Call("events.hydration", "hydrate")]
                                        )
                                    ],
                                ),
                                Call("events.subscriptions", "send_on_commit"),
                                Call("events.subscriptions", "send_in_transaction"),
                            ],
                        ),
                    ],
                )
            ],
        ),
        Call("events.api.views.base", "EventsView.appended"),
    ],
)


class Step(NamedTuple):
    """A line of the call tree.

    Attributes:
        depth: how many callers stand above it.
        path: its file, from the root of the project.
    """

    depth: int
    name: str
    path: str
    summary: str


def main() -> None:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def generated() -> dict[Path, str]:
    """Return the page and the pictures as they must be, by path."""
    steps = list(_steps(APPEND))
    page = PAGE.read_text(encoding="utf-8")
    parts = {"places": _places(), "append": _call_list(steps), "modules": _module_tables()}
    for name, part in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"
    return {PAGE: page, PACKAGES_PICTURE: _packages_picture(), APPEND_PICTURE: _append_picture(steps)}


# Reading the code


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph("events", "projections", "eventstore_project", cache_dir=None)


def _layers(app: str) -> list[list[str]]:
    """Return the layers of an app, top first, as its contract lists them."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("id") == app]
    return [layer.split(" | ") for layer in layers]


def _imports(app: str) -> dict[str, set[str]]:
    """Return which others each top-level package or module of an app imports, by their names."""
    names = [name for layer in _layers(app) for name in layer]
    graph, imports = _graph(), {}
    for name in names:
        modules = {f"{app}.{name}", *graph.find_descendants(f"{app}.{name}")}
        found = {each for module in modules for each in graph.find_modules_directly_imported_by(module)}
        imports[name] = {each.split(".")[1] for each in found if each.startswith(f"{app}.")} & {*names} - {name}
    return imports


def _without_detours(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others: those that an arrow is drawn for."""

    def reachable(name: str) -> set[str]:
        return imports[name].union(*(reachable(each) for each in imports[name]))

    return {
        name: {each for each in imported if not any(each in reachable(other) for other in imported - {each})}
        for name, imported in imports.items()
    }


def _path(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.relative_to(ROOT).as_posix()


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def _definitions(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Yield the functions, classes, methods and values that a module defines, by name."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, f"{node.name}.")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield prefix + node.targets[0].id, node


def _named_by(path: str, function: str) -> set[str]:
    """Return the names, and the words of strings, in a function and in what it uses of its own module."""
    definitions = dict(_definitions(_tree(path).body))
    names: set[str] = set()
    waiting, seen = [function], set()
    while waiting:
        definition = waiting.pop()
        seen.add(definition)
        for node in ast.walk(definitions[definition]):
            if isinstance(node, ast.Name):
                names.add(node.id)
            elif isinstance(node, ast.Attribute):
                names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                names.update(re.findall(r"\w+", node.value))
        waiting += [name for name in names & definitions.keys() if name not in seen and name not in waiting]
    return names


def _summary(path: str, function: str = "") -> str:
    """Return the first line of a docstring; '' where there is none."""
    node: ast.AST = _tree(path)
    if function:
        definitions = dict(_definitions(_tree(path).body))
        if function not in definitions:
            raise LookupError(f"{path} defines no {function}; correct docs/draw_architecture.py")
        node = definitions[function]
    text = ast.get_docstring(node) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) else None
    return (text or "").partition("\n")[0]


@cache
def _sql_functions() -> dict[str, str]:
    """Return the SQL functions that the migrations install: their files, by name."""
    found = {}
    for path in sorted(ROOT.glob("*/*/sql/*.sql")):
        for name in re.findall(r"CREATE FUNCTION (\w+)", path.read_text(encoding="utf-8")):
            found[name] = path.relative_to(ROOT).as_posix()
    return found


def _sql_summary(path: str) -> str:
    """Return the first sentence of the comment that a file of SQL begins with."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = (re.match(r"(?:--.*\n)*", text) or [""])[0].split("\n")
    return re.split(r"(?<=\.)(?: |$)", " ".join(line.removeprefix("--").strip() for line in lines).strip())[0]


def _called_by_sql(path: str) -> list[str]:
    """Return the SQL functions that one calls, in the order of the text."""
    code = re.sub(r"--.*", "", (ROOT / path).read_text(encoding="utf-8"))
    called = dict.fromkeys(re.findall(r"(\w+)\(", code.partition("CREATE FUNCTION")[2].partition("(")[2]))
    return [name for name in called if name in _sql_functions()]


def _steps(call: Call, depth: int = 0) -> Iterator[Step]:
    """Yield the steps of a call tree; each caller is checked to name what it calls."""
    path = _path(call.module)
    yield Step(depth, f"{call.module}.{call.function}", path, _summary(path, call.function))
    named = _named_by(path, call.function)
    shown: set[str] = set()
    for function in sorted(named & _sql_functions().keys(), reverse=True):  # events_append_one, then events_append
        yield from _sql_steps(function, depth + 1, shown)
    for each in call.calls:
        if each.function.rpartition(".")[2] not in named:
            raise LookupError(f"{call.function} does not call {each.function}; correct docs/draw_architecture.py")
        yield from _steps(each, depth + 1)


def _sql_steps(function: str, depth: int, shown: set[str]) -> Iterator[Step]:
    if function in shown:
        return
    shown.add(function)
    path = _sql_functions()[function]
    yield Step(depth, f"SQL {function}", path, _sql_summary(path))
    for called in _called_by_sql(path):
        yield from _sql_steps(called, depth + 1, shown)


# Writing the page


def _places() -> str:
    lines = ["| Where … | File | Name |", "|---|---|---|"]
    for question, folder, name in PLACES:
        found = [path for path in _files_in(folder) if name in _defined_in(path)]
        if len(found) != 1:
            raise LookupError(
                f"{name} is defined in {found or 'no file'} of {folder}; correct docs/draw_architecture.py"
            )
        lines.append(f"| {question} | [{found[0]}](../{found[0]}) | `{name}` |")
    return "\n".join(lines)


def _files_in(folder: str) -> list[str]:
    return [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / folder).iterdir())
        if path.suffix in (".py", ".sql")
    ]


def _defined_in(path: str) -> set[str]:
    if path.endswith(".sql"):
        return {name for name, file in _sql_functions().items() if file == path}
    return {name for name, _ in _definitions(_tree(path).body)}


def _call_list(steps: Sequence[Step]) -> str:
    return "\n".join(
        f"{'  ' * step.depth}- [`{step.name}`](../{step.path})" + (f": {step.summary}" if step.summary else "")
        for step in steps
    )


def _module_tables() -> str:
    return "\n\n".join(part for app in reversed(APPS) for part in _tables_of(app))


def _tables_of(app: str) -> Iterator[str]:
    yield f"### {app}"
    folders: dict[str, list[tuple[str, str, str]]] = {}
    for path in sorted((ROOT / app).rglob("*.py")):
        folder = path.relative_to(ROOT).parent.as_posix()
        if path.name != "__init__.py" and "migrations" not in folder:
            name = path.relative_to(ROOT).as_posix()
            folders.setdefault(folder, []).append((path.stem, name, _summary(name)))
    for name, file in _sql_functions().items():
        if file.startswith(f"{app}/"):
            folders.setdefault(Path(file).parent.as_posix(), []).append((name, file, _sql_summary(file)))
    for folder in sorted(folders):
        if folder != app:
            yield f"#### {folder}/"
        if (ROOT / folder / "__init__.py").exists() and (summary := _summary(f"{folder}/__init__.py")):
            yield summary
        rows = [f"| [{_cell(name)}](../{file}) | {_cell(summary)} |" for name, file, summary in sorted(folders[folder])]
        kind = "SQL function" if folder.endswith("/sql") else "Module"
        yield "\n".join([f"| {kind} | What it is |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


# Drawing

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


def _packages_picture() -> str:
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
        height = ROW * len(_layers(app)) + 24
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
            passes_by = each not in _layers(app)[row + 1]
            yield _arrow(x, y + BOX_HEIGHT, to_x, y + ROW, has_tip=not passes_by)
            if passes_by:
                yield f'<path class="line" d="M{to_x} {y + ROW} V{y + ROW + BOX_HEIGHT}"/>'
    for row, layer in enumerate(_layers(app)):
        for name in layer:
            module, x, y = f"{app}.{name}", places[row, name], top + 40 + row * ROW
            modules = [each for each in _graph().find_descendants(module) if not _path(each).endswith("__init__.py")]
            kind = "package" if modules else "module"
            yield _box(kind, x - BOX_WIDTH // 2, y, BOX_WIDTH, BOX_HEIGHT, _summary(_path(module)) or name)
            yield _text("name", x, y + (17 if modules else 25), name, centred=True)
            if modules:
                yield _text("small", x, y + 32, f"{len(modules)} module{'s' * (len(modules) > 1)}", centred=True)


def _rows(app: str) -> tuple[list[list[str]], dict[tuple[int, str], list[str]]]:
    """Return the rows of the picture, and what each place in them leads to in the next row.

    A line that passes a row has a place of its own in it, `to NAME`, so that it does not run behind a box. Lines that
    lead to the same box share it.
    """
    rows = [list(layer) for layer in _layers(app)]
    row_of = {name: row for row, layer in enumerate(rows) for name in layer}
    links: dict[tuple[int, str], list[str]] = {}
    for name, imported in sorted(_without_detours(_imports(app)).items()):
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


def _append_picture(steps: Sequence[Step]) -> str:
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


if __name__ == "__main__":
    main()
