"""The project's database routers say where the store is."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command, get_commands, load_command_class

from events.monitoring.diagnostics import diagnostics
from events.routing import database, has_store, where_the_store_is
from events.store import EventStore
from tests.hosts.support import connected_by


class Router:
    """The store is in the database `primary`; models of other apps are not."""

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "primary" if model._meta.app_label in ("events", "projections") else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return db == "primary" if app_label in ("events", "projections") else None


@pytest.fixture
def router(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Router()]


@pytest.fixture
def other_database(django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The alias of a database without the store's tables."""
    with django_db_blocker.unblock(), connected_by({"NAME": "postgres"}, "standby"):
        yield "standby"


def test_store_is_in_the_default_database() -> None:
    assert database() == EventStore().using == "default"


def test_router_moves_the_store(router: None) -> None:
    assert database() == EventStore().using == "primary"
    assert EventStore("standby").using == "standby"


def test_store_made_before_the_routers_are_known_follows_them(request: pytest.FixtureRequest) -> None:
    store = EventStore()
    request.getfixturevalue("router")
    assert store.using == "primary"


def test_router_gives_every_command_its_default_database(router: None) -> None:
    of_django = {"flush", "dumpdata", "loaddata"}
    ours = {name for name, app in get_commands().items() if app in ("events", "projections")} - of_django
    parsers = [load_command_class(get_commands()[name], name).create_parser("manage.py", name) for name in ours]
    defaults = [parser.get_default("database") for parser in parsers]
    assert len(defaults) >= 15
    assert {*defaults} == {"primary", None}, "None: the command has no such option, and asks the routers itself"


def test_commands_say_that_a_database_has_no_store(other_database: str, router: None) -> None:
    assert not has_store(other_database)
    elsewhere = "The routers keep the store out of this database. Leave --database out; the default is 'primary'."
    with pytest.raises(CommandError) as rejected:
        call_command("verify_events", database=other_database)
    assert str(rejected.value) == f"The database 'standby' has no event store. {elsewhere}"


def test_doctor_says_that_a_database_has_no_store(
    other_database: str, router: None, settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="1 finding"):
        call_command("events_doctor", database=other_database)
    out = capsys.readouterr().out
    assert "the database 'standby' has no event store" in out
    assert "Leave --database out" in out
    assert "ok" not in out
    settings.DATABASE_ROUTERS = []
    with pytest.raises(CommandError, match="1 finding"):
        call_command("events_doctor", database=other_database)
    assert "manage.py migrate --database standby" in capsys.readouterr().out


class Disagreeing(Router):
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "standby"


def test_routers_that_disagree_are_named(settings: Any) -> None:
    settings.DATABASE_ROUTERS = [Disagreeing()]
    assert "The routers disagree" in where_the_store_is("standby")


@pytest.mark.django_db
def test_doctor_reports_projections_for_their_own_database_only(router: None) -> None:
    names = [each.name for each in diagnostics("default")]
    assert "The guards are in place, and no role passes them by default" in names
    assert "A worker is alive" not in names
