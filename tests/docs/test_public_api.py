"""docs/public-api.md against the code: the page lists what the modules export, and everything on it exists."""

import re
from importlib import import_module
from pathlib import Path

import pytest
from django.db import connection
from django.template import engines

from tests.ownproject import ROOT

PAGE = (ROOT / "docs/public-api.md").read_text(encoding="utf-8")

# The modules whose every name is public, so that __all__ can say which these are. Of the others the page picks some.
PUBLIC_MODULES = [
    "events.context",
    "events.domain",
    "events.exceptions",
    "events.middleware",
    "events.signals",
    "events.store",
    "events.testing",
    "events.types",
    "projections.base",
    "projections.exceptions",
    "projections.reactions",
    "projections.registry",
    "projections.testing",
    "projections.waiting",
]


def names_under(heading: str) -> list[str]:
    """Return the first column of the table under a heading."""
    section = re.split(rf"^#+ {re.escape(heading)}\n", PAGE, flags=re.MULTILINE)[1]
    return re.findall(r"^\| `(\w+)` \|", re.split(r"^#", section, flags=re.MULTILINE)[0], flags=re.MULTILINE)


DOCUMENTED = {module: names_under(f"`{module}`") for module in re.findall(r"^### `(.+)`$", PAGE, flags=re.MULTILINE)}


@pytest.mark.parametrize("module", PUBLIC_MODULES)
def test_page_lists_what_the_module_exports(module: str) -> None:
    assert sorted(DOCUMENTED[module]) == sorted(import_module(module).__all__)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_every_name_on_the_page_exists(module: str) -> None:
    assert DOCUMENTED[module]
    assert [name for name in DOCUMENTED[module] if not hasattr(import_module(module), name)] == []


def test_methods_of_the_store_are_listed() -> None:
    (row,) = re.findall(r"^\| `EventStore` \|(.+)$", PAGE, flags=re.MULTILINE)
    store = import_module("events.store").EventStore
    assert set(re.findall(r"`(\w+)`", row)) == {name for name in vars(store) if not name.startswith("_")}


@pytest.mark.parametrize("model", ["Event", "Aggregate"])
def test_fields_of_the_models_are_listed(model: str) -> None:
    page = PAGE.partition("### `events.models`")[2]
    (row,) = re.findall(rf"^\| `{model}` \|(.+)$", page, flags=re.MULTILINE)
    fields = getattr(import_module("events.models"), model)._meta.get_fields()
    assert set(re.findall(r"`(\w+)`", row)) == {field.name for field in fields if field.concrete}


def test_commands_are_those_of_the_apps() -> None:
    folders = [ROOT / app / "management/commands" for app in ("events", "events/domain", "projections")]
    commands = [path.stem for folder in folders for path in folder.glob("*.py") if path.stem != "__init__"]
    assert sorted(names_under("Management commands")) == sorted(commands)


@pytest.mark.django_db
def test_sql_functions_are_those_that_others_may_call() -> None:
    """privileges.sql makes these, and no others, run with the rights of the owner."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT proname FROM pg_proc WHERE proname LIKE 'events\\_%' AND prosecdef")
        assert sorted(names_under("SQL functions")) == sorted(name for (name,) in cursor.fetchall())


def test_url_modules_and_the_template_tag_exist() -> None:
    for module in re.findall(r"`((?:events|projections)\.api\.urls)`", PAGE):
        assert import_module(module).urlpatterns
    engines["django"].from_string("{% load event_store %}{% event_store_dashboard %}")
    assert "`event_store_dashboard`" in PAGE
    assert "`event_store`" in PAGE


def test_every_module_with_all_is_public() -> None:
    with_all = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for app in ("events", "projections")
        for path in [*Path(ROOT, app).glob("*.py"), *Path(ROOT, app).glob("[drt]*/__init__.py")]
        if "\n__all__ = " in path.read_text(encoding="utf-8")
    ]
    assert sorted(with_all) == PUBLIC_MODULES
