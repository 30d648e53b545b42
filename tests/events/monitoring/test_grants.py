"""Each database role can do its work, and nothing else; nothing that a client sends becomes SQL."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

import pytest
from django.core.management import CommandError, call_command
from django.db import ProgrammingError, connection, transaction
from rest_framework.test import APIClient

from events.exceptions import EventStoreError, VersionConflict
from events.formats.files import read_json_lines
from events.formats.importing import Importer
from events.integrity import seals
from events.integrity.verification import Verification
from events.management.commands.events_grants import WITH_READ_MODELS
from events.models import Event, Seal
from events.monitoring.diagnostics import diagnostics
from events.monitoring.grants import Grants
from events.storage import identity
from events.store import EventStore
from events.types import NewEvent
from projections import registry
from projections.engine import missed
from projections.exceptions import ProjectionError
from projections.models import AggregateActivity, EventTypeActivity, InlineCount, ProjectionState
from projections.workers.worker import Until, Worker
from tests.events.monitoring.attacks import APPEND, FORBIDDEN, FORBIDDEN_TO_ALL, ROLES
from tests.support import aggregates, new, open_append, some, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def roles() -> Iterator[dict[str, str]]:
    """A role of each kind, with what it is granted."""
    names = {kind: f"{connection.settings_dict['NAME']}_{kind}"[:60] for kind in ROLES}
    grants = Grants("default")
    with connection.cursor() as cursor:
        for kind, name in names.items():
            cursor.execute(f'DROP ROLE IF EXISTS "{name}"')
            cursor.execute(f'CREATE ROLE "{name}"')
            extra = [["projections"]] if kind in WITH_READ_MODELS else []
            for statement in getattr(grants, kind)(name, *extra):
                cursor.execute(statement)
    yield names
    with connection.cursor() as cursor:
        for name in names.values():
            cursor.execute(f'DROP OWNED BY "{name}"')
            cursor.execute(f'DROP ROLE "{name}"')


@contextmanager
def as_role(name: str) -> Iterator[None]:
    connection.cursor().execute(f'SET ROLE "{name}"')
    try:
        yield
    finally:
        connection.cursor().execute("RESET ROLE")


@pytest.mark.parametrize(
    ("kind", "statement"),
    [
        pytest.param(kind, statement, id=f"{kind}-{name}")
        for kind in ROLES
        for name, statement in (FORBIDDEN_TO_ALL | FORBIDDEN[kind]).items()
    ],
)
def test_role_may_not(store: EventStore, roles: dict[str, str], kind: str, statement: str) -> None:
    store.dispatch(*some(2))
    seals.seal("default")
    before = (stored(), aggregates(), Seal.objects.count())
    with as_role(roles[kind]), pytest.raises(ProgrammingError) as rejected, transaction.atomic():
        connection.cursor().execute(statement)
    # Insufficient privilege; a GRANT without the right to grant only warns, and the next statement is rejected.
    assert getattr(rejected.value.__cause__, "sqlstate", None) == "42501"
    assert (stored(), aggregates(), Seal.objects.count()) == before


def test_reader_reads(store: EventStore, roles: dict[str, str]) -> None:
    store.dispatch(*some(3))
    with as_role(roles["reader"]):
        assert len(store.get_events_for_aggregate("a-1")) == len(list(store.read_all())) == 3
        assert store.settled_position() >= Event.objects.latest("position").position
        assert seals.unsealed("default").events == 3


def test_writer_appends(store: EventStore, roles: dict[str, str], no_subscribers: None) -> None:
    with as_role(roles["writer"]):
        first = new("a-1")
        store.dispatch(first, expected_version=0)
        store.dispatch(new("a-1"), new("b-1"), expected_version={"a-1": 1, "c-1": 0})
        assert store.dispatch(first).is_retry
        with pytest.raises(VersionConflict):
            store.dispatch(new("a-1"), expected_version=1)
        with pytest.raises(EventStoreError), transaction.atomic():
            store.dispatch(NewEvent("d-1", "T", event_id=first.event_id))
        # It may read the secret, so that it can derive ids.
        identity._secrets.clear()
        lines = io.BytesIO(b'{"aggregate_id": "a-1", "type": "T"}\n')
        assert [counts.stored for counts in Importer(store).run(read_json_lines(lines))] == [1]
        with transaction.atomic():
            store.dispatch(new("a-1"))
            assert store.settled_position() >= Event.objects.latest("position").position
    assert aggregates() == {"a-1": 4, "b-1": 1}


@pytest.mark.django_db(transaction=True)
def test_operator_runs_and_rebuilds_projections_and_seals(store: EventStore, roles: dict[str, str]) -> None:
    store.dispatch(*some(3))
    with as_role(roles["operator"]):
        Worker([registry.get("seals"), registry.get("event_type_activity")], until=Until.CAUGHT_UP).run()
        call_command("rebuild_projection", "event_type_activity", yes=True, verbosity=0)
        for _ in Verification("default").run():
            pass
    assert EventTypeActivity.objects.get().event_count == 3
    assert seals.unsealed("default").events == 0


@pytest.mark.parametrize(("up_to", "limit"), [(2**63 - 1, 2**31 - 1), (2**63 - 1, 1), (-5, 1000)])
def test_operator_seals_nothing_but_the_next_events(
    store: EventStore, roles: dict[str, str], up_to: int, limit: int
) -> None:
    store.dispatch(*some(1001))
    with as_role(roles["operator"]):
        connection.cursor().execute("SELECT events_seal_next(%s, %s)", [up_to, limit])
        while seals.seal("default"):
            pass
    for _ in Verification("default").run():
        pass
    assert seals.unsealed("default").events == 0


@pytest.mark.django_db(transaction=True)
def test_advisory_locks_stop_neither_seals_nor_appends(store: EventStore, roles: dict[str, str]) -> None:
    """Any role that may connect can hold them."""
    holder = connection.copy("holder")
    with holder.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_lock(oid::int, key) FROM pg_class,"
            " (SELECT 0 UNION ALL SELECT hashtext(name) FROM projections_projectionstate) AS keys(key)"
            " WHERE relname ~ '^(events|projections)_' AND relname <> 'events_event_position_seq'"
        )
        try:
            connection.cursor().execute("SET statement_timeout = '5s'")
            store.dispatch(*some(2))
            assert seals.seal("default") == 2
        finally:
            connection.cursor().execute("RESET statement_timeout")
            holder.close()
    assert AggregateActivity.objects.get().event_count == 2


@pytest.mark.django_db(transaction=True)
def test_sealers_do_not_wait_for_ever(store: EventStore, caplog: pytest.LogCaptureFixture) -> None:
    store.dispatch(*some(2))
    holder = connection.copy("holder")
    with holder.cursor() as cursor:
        cursor.execute("ALTER FUNCTION events_seal_next SET lock_timeout = '50ms'")
        try:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE events_seal IN SHARE MODE")
            assert seals.seal("default") == 0
            assert "another session holds the lock of events_seal" in caplog.text
            cursor.execute("ROLLBACK")
        finally:
            cursor.execute("ALTER FUNCTION events_seal_next SET lock_timeout = '10s'")
            holder.close()
    assert seals.seal("default") == 2


def test_inline_writer_appends_where_inline_projections_are_on(store: EventStore, roles: dict[str, str]) -> None:
    with as_role(roles["inline_writer"]):
        store.dispatch(*some(2))
    assert AggregateActivity.objects.get().event_count == 2
    with as_role(roles["writer"]), pytest.raises(ProgrammingError, match="permission denied"), transaction.atomic():
        store.dispatch(new())


@pytest.mark.parametrize(
    "call",
    [
        "projections_count_inline(ARRAY['aggregate_activity'], ARRAY[{}])",
        """projections_enter_inline('[{{"name": "aggregate_activity", "version": 1, "handled": {}}}]')""",
    ],
)
def test_inline_writer_stops_no_count_by_huge_numbers(store: EventStore, roles: dict[str, str], call: str) -> None:
    store.dispatch(*some(2))
    InlineCount.objects.create(projection="aggregate_activity", backend=0, handled=1)  # of another session
    with as_role(roles["inline_writer"]):
        connection.cursor().execute(f"SELECT {call.format(2**63 - 1)}")
        store.dispatch(*some(2))
    missed.check()
    assert missed.missed_events().keys() >= {"aggregate_activity"}


@pytest.mark.parametrize(
    "attack",
    [
        "LOCK TABLE projections_inlinecount IN ACCESS EXCLUSIVE MODE",
        "UPDATE projections_inlinecount SET handled = handled + 1",
        "DELETE FROM projections_inlinecount",
        "INSERT INTO projections_inlinecount (projection, backend, handled) VALUES ('aggregate_activity', 0, 1)",
    ],
    ids=lambda attack: attack.split()[0],
)
def test_inline_writer_counts_only_by_the_functions(roles: dict[str, str], attack: str) -> None:
    with as_role(roles["inline_writer"]), pytest.raises(ProgrammingError, match="permission denied"):
        with transaction.atomic():
            connection.cursor().execute(attack)


@pytest.mark.parametrize(
    "table",
    [
        # ANALYZE evaluates the expressions of indexes as the owner of the table.
        "CREATE TEMP TABLE anything (n integer); CREATE INDEX ON anything ((pg_temp.evil(n)))",
        "CREATE TEMP TABLE anything (n integer DEFAULT pg_temp.evil(1))",
        # Its sequence would be moved to the end of the numbers, with that of the table of this name.
        "CREATE TEMP TABLE events_event (position bigint GENERATED ALWAYS AS IDENTITY (START 9223372036854775807))",
    ],
)
def test_operator_makes_no_copies_of_tables_of_its_own(roles: dict[str, str], table: str) -> None:
    name = table.split()[3]
    with as_role(roles["operator"]), pytest.raises(ProgrammingError, match="does not belong to the owner"):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                "CREATE FUNCTION pg_temp.evil(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n';" + table
            )
            cursor.execute(f"SELECT projections_create_shadow_tables('seals', ARRAY['pg_temp.{name}'::regclass])")


def test_inline_writer_is_told_how_a_new_projection_is_registered(store: EventStore, roles: dict[str, str]) -> None:
    ProjectionState.objects.filter(name="aggregate_activity").delete()
    with as_role(roles["inline_writer"]), pytest.raises(ProjectionError, match=r"Run manage\.py migrate"):
        with transaction.atomic():
            store.dispatch(new())
    assert stored() == []


def test_monitor_runs_the_doctor(store: EventStore, roles: dict[str, str]) -> None:
    store.dispatch(*some(2))
    connection.cursor().execute("SET LOCAL synchronous_commit = on")  # the tests' database has it off
    with as_role(roles["monitor"]):
        found = [finding.problem for each in diagnostics("default") for finding in each.diagnose("default")]
    assert [problem for problem in found if "dead rows" not in problem] == [
        "no worker has been seen in the last 40 s, so ASYNC projections do not advance"
    ]


def test_tables_and_operators_of_ones_own_do_not_come_between(store: EventStore, roles: dict[str, str]) -> None:
    """The search_path of the function is its own."""
    store.dispatch(*some(1))
    with as_role(roles["writer"]), connection.cursor() as cursor:
        for table in ("events_event", "events_aggregate"):
            cursor.execute(f"CREATE TEMP TABLE {table} (LIKE public.{table} INCLUDING ALL)")
        cursor.execute(
            "CREATE FUNCTION pg_temp.clock_timestamp() RETURNS timestamptz LANGUAGE sql"
            " AS 'SELECT now() - interval ''9 years'''"
        )
        cursor.execute("SET search_path = pg_temp, public, pg_catalog")
        try:
            cursor.execute(APPEND)
            cursor.execute("SELECT events_settled_position() >= max(position) FROM public.events_event")
            assert cursor.fetchone() == (True,)
        finally:
            cursor.execute("RESET search_path")
            cursor.execute("DROP TABLE pg_temp.events_event, pg_temp.events_aggregate")
            cursor.execute("DROP FUNCTION pg_temp.clock_timestamp()")
    assert stored() == [("a-1", 1), ("x", 1)]
    assert Event.objects.latest("position").recorded_at.year > 2020


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "forged", ["{sequence}:{beyond}", "{sequence}:-5", "{sequence}:{far_below}", "{sequence}:0", "1:2"]
)
def test_forged_floor_hides_no_event(store: EventStore, no_subscribers: None, forged: str) -> None:
    """A writer that says it holds a floor, and does not, would have readers pass over what it has not committed."""
    store.dispatch(*some(3))
    last = Event.objects.latest("position").position
    with connection.cursor() as cursor:
        cursor.execute("SELECT 'events_event_position_seq'::regclass::oid")
        (sequence,) = cursor.fetchone()
    value = forged.format(sequence=sequence, beyond=last + 10**9, far_below=last - 2**31 + 5)

    class Forging(EventStore):
        def dispatch(self, *events: Any, **options: Any) -> Any:
            connection.cursor().execute("SELECT set_config('events.floor_held', %s, true)", [value])
            return super().dispatch(*events, **options)

    with open_append(Forging(), new("b-1")):
        store.dispatch(new("c-1"))
        assert store.settled_position() <= last
        assert "c-1" not in [event.aggregate_id for event in store.read_all()]
    assert store.settled_position() > last


HOSTILE = [
    "'; DROP TABLE events_seal; --",
    '"; DROP TABLE events_seal; --',
    "\\'; DROP TABLE events_seal; --",
    "$$; DROP TABLE events_seal; --",
    "%s %(a)s {0} %%",
    "a' OR '1'='1",
    "{a,b}",
    '{"',
    "_%",
    "a\\",
    "NULL",
    "*",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(store: EventStore, api: APIClient, text: str) -> None:
    content = {text: [text], "n": {"a": text}}
    store.dispatch(new(text, text, data=content, metadata={"correlation_id": text, text: text}), expected_version=0)
    store.dispatch(new(text, text, data=content), new(f"{text}-2", text), expected_version={text: 1, f"{text}-3": 0})
    store.dispatch(new("a-1"))
    assert [event.data for event in store.get_events_for_aggregate(text)] == [content] * 2
    assert [event.type for event in store.read_all(types=[text])] == [text] * 3
    category = text.partition("-")[0]
    assert {event.aggregate_id for event in store.read_all(categories=[category])} == {text, f"{text}-2"}
    for name in ("type", "category", "aggregate_id", "correlation_id", "event_id", "timestamp_from", "after", "limit"):
        for path in ("/api/events/", "/api/aggregates/", "/api/events/export/"):
            assert api.get(path, {name: text}).status_code in (200, 400), (name, path)
    found = api.get("/api/events/", {"type": text}).json()["events"]
    assert [event["aggregate_id"] for event in found] == [text, text, f"{text}-2"]
    assert Seal.objects.count() == 0


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "path", ["event/?q={}", "event/?q={}&in=data", "event/?type={}&category={}", "aggregate/?q={}"]
)
def test_hostile_text_in_the_admin(store: EventStore, admin_client: Any, text: str, path: str) -> None:
    store.dispatch(new("a-1", data={"text": text}))
    answer = admin_client.get("/admin/events/" + path.replace("{}", quote(text)))
    assert answer.status_code in (200, 302)
    assert Seal.objects.count() == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "Name at least one role"),
        ({"operator": ["o"]}, "--read-models goes with --inline-writer, --operator and --monitor"),
        ({"reader": ["r"], "read_models": ["projections"]}, "--read-models goes with --inline-writer"),
        ({"operator": ["o"], "read_models": ["nothing"]}, "--read-models: No installed app with label 'nothing'"),
        ({"reader": ["r"], "database": "other"}, "there is no 'other' in DATABASES"),
    ],
)
def test_command_says_what_is_missing(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError, match=message):
        call_command("events_grants", **arguments)


@pytest.mark.parametrize("name", ["", " ", "public", "PUBLIC", "current_user"])
def test_invalid_role_name_is_rejected(name: str) -> None:
    with pytest.raises(CommandError, match="is not a role; name an existing role"):
        call_command("events_grants", f"--reader={name}")


def test_command_prints_sql_that_can_be_run(roles: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    call_command(
        "events_grants",
        reader=[roles["reader"]],
        writer=[roles["writer"], 'a "strange" name'],
        operator=[roles["operator"]],
        read_models=["projections", "eventstore_project"],
    )
    text = capsys.readouterr().out
    assert 'TO "a ""strange"" name";' in text
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("\n".join(line for line in text.splitlines() if "strange" not in line))
