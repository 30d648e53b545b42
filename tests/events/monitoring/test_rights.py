"""The doctor finds roles that can do more than their grants, and objects that take the place of the store's."""

import pytest
from django.db import connection

from events.monitoring import doctor, rights
from events.store import EventStore
from tests import ROOT
from tests.support import new, some, stored

pytestmark = pytest.mark.django_db

ROLE = "events_somebody"
EXCESS = {
    "schemas": ("GRANT CREATE ON DATABASE {database} TO {role}", "may create schemas in the database"),
    "schemas, as PUBLIC": (
        "GRANT CREATE ON DATABASE {database} TO PUBLIC",
        "PUBLIC may create schemas in the database",
    ),
    "objects in public": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "PUBLIC may create functions and tables in the schema",
    ),
    "rows": ("GRANT INSERT ON events_seal TO {role}", "may INSERT events_seal: it can pass"),
    "triggers": ("GRANT TRIGGER ON events_event TO {role}", "may TRIGGER events_event"),
    "positions": (
        "GRANT UPDATE ON SEQUENCE events_event_position_seq TO {role}",
        "may UPDATE events_event_position_seq",
    ),
    "a dump without grants": (
        "GRANT EXECUTE ON FUNCTION events_seal_next TO PUBLIC",
        "PUBLIC may call events_seal_next",
    ),
    "inner function": (
        "GRANT EXECUTE ON FUNCTION projections_drop_shadow_tables TO PUBLIC",
        "may call projections_drop",
    ),
}


@pytest.fixture
def role() -> None:
    connection.cursor().execute(f"CREATE ROLE {ROLE}")  # rolled back


@pytest.mark.parametrize(("statement", "problem"), EXCESS.values(), ids=EXCESS)
def test_excess_right_is_found_and_the_remedy_works(role: None, statement: str, problem: str) -> None:
    assert list(rights.excess_rights("default")) == []
    database = connection.settings_dict["NAME"]
    with connection.cursor() as cursor:
        cursor.execute(statement.format(database=f'"{database}"', role=ROLE))
        (finding,) = rights.excess_rights("default")
        assert problem in finding.problem
        cursor.execute(finding.remedy)
    assert list(rights.excess_rights("default")) == []


def test_namesake_in_the_schema_of_a_role_is_found(role: None) -> None:
    assert list(rights.namesakes("default")) == []
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE events_victim; CREATE SCHEMA events_victim AUTHORIZATION {ROLE}; SET ROLE {ROLE}")
        cursor.execute(
            "CREATE FUNCTION events_victim.events_settled_position() RETURNS bigint LANGUAGE sql AS 'SELECT 1::bigint'"
        )
        cursor.execute("CREATE VIEW events_victim.events_event AS SELECT 1")
        cursor.execute("RESET ROLE")
    found = [finding.problem for finding in rights.namesakes("default")]
    assert [
        f"the schema events_victim has a {kind}" in each
        for kind, each in zip(("table", "function"), found, strict=True)
    ]


def test_renamed_schema_is_found_and_the_remedy_works(store: EventStore, no_subscribers: None) -> None:
    """The functions set a search_path with the name of the schema."""
    store.dispatch(*some(1))
    with connection.cursor() as cursor:
        cursor.execute("ALTER SCHEMA public RENAME TO shop; CREATE SCHEMA public; SET LOCAL search_path = shop, public")
        (found,) = doctor.functions("default")
        assert "of a schema that was renamed: events_append, events_append_one, events_seal_next," in found.problem
        for folder in (ROOT / "events/storage/sql", ROOT / "projections/engine/sql"):
            cursor.execute((folder / "privileges.sql").read_text(encoding="utf-8"))
        assert list(doctor.functions("default")) == []
    store.dispatch(new("b-1"))
    assert stored() == [("a-1", 1), ("b-1", 1)]
