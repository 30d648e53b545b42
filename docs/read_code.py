"""Read from the code what the map of it shows: imports, layers, calls and first lines of docstrings."""

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import grimp

ROOT = Path(__file__).resolve().parent.parent


class Call(NamedTuple):
    """A step on the way of an append: a function, and those that it calls, in their order."""

    module: str
    function: str
    calls: Sequence["Call"] = ()


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


@cache
def import_graph() -> grimp.ImportGraph:
    return grimp.build_graph("events", "projections", "eventstore_project", cache_dir=None)


def layers_of(app: str) -> list[list[str]]:
    """Return the layers of an app, top first, as its contract lists them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract.get("id") == app]
    return [layer.split(" | ") for layer in layers]


def imports_of(app: str) -> dict[str, set[str]]:
    """Return which others each top-level package or module of an app imports, by their names."""
    names = [name for layer in layers_of(app) for name in layer]
    imports: dict[str, set[str]] = {}
    for name in names:
        modules = {f"{app}.{name}", *import_graph().find_descendants(f"{app}.{name}")}
        found = {each for module in modules for each in import_graph().find_modules_directly_imported_by(module)}
        imports[name] = {each.split(".")[1] for each in found if each.startswith(f"{app}.")} & {*names} - {name}
    return imports


def without_detours(imports: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that do not follow from others: those that an arrow is drawn for."""

    def reachable(name: str) -> set[str]:
        return imports[name].union(*(reachable(each) for each in imports[name]))

    return {
        name: {each for each in imported if not any(each in reachable(other) for other in imported - {each})}
        for name, imported in imports.items()
    }


def module_path(module: str) -> str:
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return path.relative_to(ROOT).as_posix()


@cache
def syntax_tree(path: str) -> ast.Module:
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


def definitions_in(body: Sequence[ast.stmt], prefix: str = "") -> Iterator[tuple[str, ast.stmt]]:
    """Yield the functions, classes, methods and values that a module defines, by name."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield prefix + node.name, node
        if isinstance(node, ast.ClassDef):
            yield from definitions_in(node.body, f"{node.name}.")
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            yield prefix + node.targets[0].id, node


def _named_by(path: str, function: str) -> set[str]:
    """Return the names, and the words of strings, in a function and in what it uses of its own module."""
    definitions = dict(definitions_in(syntax_tree(path).body))
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


def summary_of(path: str, function: str = "") -> str:
    """Return the first line of a docstring; '' where there is none."""
    node: ast.AST = syntax_tree(path)
    if function:
        definitions = dict(definitions_in(syntax_tree(path).body))
        if function not in definitions:
            raise LookupError(f"{path} defines no {function}; correct docs/draw_architecture.py")
        node = definitions[function]
    text = ast.get_docstring(node) if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef) else None
    return (text or "").partition("\n")[0]


@cache
def sql_functions() -> dict[str, str]:
    """Return the SQL functions that the migrations install: their files, by name."""
    found = {}
    for path in sorted(ROOT.glob("*/*/sql/*.sql")):
        for name in re.findall(r"CREATE FUNCTION (\w+)", path.read_text(encoding="utf-8")):
            found[name] = path.relative_to(ROOT).as_posix()
    return found


def sql_summary(path: str) -> str:
    """Return the first sentence of the comment that a file of SQL begins with."""
    text = (ROOT / path).read_text(encoding="utf-8")
    lines = (re.match(r"(?:--.*\n)*", text) or [""])[0].split("\n")
    return re.split(r"(?<=\.)(?: |$)", " ".join(line.removeprefix("--").strip() for line in lines).strip())[0]


def _called_by_sql(path: str) -> list[str]:
    """Return the SQL functions that one calls, in the order of the text."""
    code = re.sub(r"--.*", "", (ROOT / path).read_text(encoding="utf-8"))
    called = dict.fromkeys(re.findall(r"(\w+)\(", code.partition("CREATE FUNCTION")[2].partition("(")[2]))
    return [name for name in called if name in sql_functions()]


def call_steps(call: Call, depth: int = 0) -> Iterator[Step]:
    """Yield the steps of a call tree; each caller is checked to name what it calls."""
    path = module_path(call.module)
    yield Step(depth, f"{call.module}.{call.function}", path, summary_of(path, call.function))
    named = _named_by(path, call.function)
    shown: set[str] = set()
    for function in sorted(named & sql_functions().keys(), reverse=True):  # events_append_one, then events_append
        yield from _sql_steps(function, depth + 1, shown)
    for each in call.calls:
        if each.function.rpartition(".")[2] not in named:
            raise LookupError(f"{call.function} does not call {each.function}; correct docs/draw_architecture.py")
        yield from call_steps(each, depth + 1)


def _sql_steps(function: str, depth: int, shown: set[str]) -> Iterator[Step]:
    if function in shown:
        return
    shown.add(function)
    path = sql_functions()[function]
    yield Step(depth, f"SQL {function}", path, sql_summary(path))
    for called in _called_by_sql(path):
        yield from _sql_steps(called, depth + 1, shown)
