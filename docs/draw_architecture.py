"""Draw the map of the code in docs/architecture.md from its imports, calls and docstrings: `make architecture`.

It writes the parts of the page between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->`, and two pictures. The
layers are those of the import contracts in pyproject.toml; the arrows are the imports that grimp, import-linter's
engine, finds. A test compares the committed page and pictures with what this module makes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from docs.draw_pictures import append_picture, packages_picture
from docs.read_code import (
    ROOT,
    Call,
    Step,
    call_steps,
    definitions_in,
    sql_functions,
    sql_summary,
    summary_of,
    syntax_tree,
)

PAGE = ROOT / "docs" / "architecture.md"
PACKAGES_PICTURE = ROOT / "docs" / "images" / "architecture.svg"
APPEND_PICTURE = ROOT / "docs" / "images" / "append.svg"

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
                                Call("events.subscriptions", "send_to_participants"),
                                Call("events.subscriptions", "send_on_commit"),
                                Call("events.subscriptions", "send_in_transaction"),
                            ],
                        ),
                    ],
                )
            ],
        ),
        Call("events.api.base", "EventsView.appended"),
    ],
)


def main() -> None:
    for path, text in generated().items():
        path.write_text(text, encoding="utf-8")


def generated() -> dict[Path, str]:
    """Return the page and the pictures as they must be, by path."""
    call_tree = list(call_steps(APPEND))
    page = PAGE.read_text(encoding="utf-8")
    parts = {"places": _places(), "append": _call_list(call_tree), "modules": _module_tables()}
    for name, part in parts.items():
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        before, _, rest = page.partition(begin)
        page = f"{before}{begin}\n{part}\n{end}{rest.partition(end)[2]}"
    return {PAGE: page, PACKAGES_PICTURE: packages_picture(), APPEND_PICTURE: append_picture(call_tree)}


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
        return {name for name, file in sql_functions().items() if file == path}
    return {name for name, _ in definitions_in(syntax_tree(path).body)}


def _call_list(steps: Sequence[Step]) -> str:
    return "\n".join(
        f"{'  ' * step.depth}- [`{step.name}`](../{step.path})" + (f": {step.summary}" if step.summary else "")
        for step in steps
    )


def _module_tables() -> str:
    return "\n\n".join(part for app in ("events", "projections") for part in _tables_of(app))


def _tables_of(app: str) -> Iterator[str]:
    yield f"### {app}"
    folders: dict[str, list[tuple[str, str, str]]] = {}
    for path in sorted((ROOT / app).rglob("*.py")):
        folder = path.relative_to(ROOT).parent.as_posix()
        if path.name != "__init__.py" and "migrations" not in folder:
            name = path.relative_to(ROOT).as_posix()
            folders.setdefault(folder, []).append((path.stem, name, summary_of(name)))
    for name, file in sql_functions().items():
        if file.startswith(f"{app}/"):
            folders.setdefault(Path(file).parent.as_posix(), []).append((name, file, sql_summary(file)))
    for folder in sorted(folders):
        if folder != app:
            yield f"#### {folder}/"
        if (ROOT / folder / "__init__.py").exists() and (summary := summary_of(f"{folder}/__init__.py")):
            yield summary
        rows = [f"| [{_cell(name)}](../{file}) | {_cell(summary)} |" for name, file, summary in sorted(folders[folder])]
        kind = "SQL function" if folder.endswith("/sql") else "Module"
        yield "\n".join([f"| {kind} | What it is |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", r"\|")


if __name__ == "__main__":
    main()
