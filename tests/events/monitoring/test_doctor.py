"""The doctor finds what is wrong, and says what to do about it; where nothing is, it finds nothing."""

import json
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction

from events.models import Event
from events.monitoring import doctor
from events.monitoring.diagnostics import Severity, diagnostics
from events.store import EventStore
from tests.events.monitoring.support import MAINTAIN, findings
from tests.support import new, open_append, some

pytestmark = pytest.mark.django_db


def test_nothing_is_found_where_all_is_well(healthy: None, capsys: pytest.CaptureFixture[str]) -> None:
    assert findings() == []
    call_command("events_doctor")
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"ok       {each.name}" for each in diagnostics("default")]
    call_command("events_doctor", json=True)
    assert json.loads(capsys.readouterr().out) == []


FAULTS = {
    "trigger gone": (
        "DROP TRIGGER events_event_immutable ON events_event",
        "trigger events_event_immutable is missing",
    ),
    "trigger disabled": (
        "ALTER TABLE events_aggregate DISABLE TRIGGER events_aggregate_appended",
        "trigger events_aggregate_appended is disabled",
    ),
    "guard passed by default": (
        "ALTER ROLE CURRENT_USER SET events.maintenance = 'on'",
        "events.maintenance is set for ",
    ),
    "guard function replaced": (
        "CREATE OR REPLACE FUNCTION events_reject_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'",
        "the function events_reject_change differs from the one that this version installs",
    ),
    "function gone": (
        "ALTER FUNCTION events_reject RENAME TO elsewhere",
        "the function events_reject is missing",
    ),
    "search_path of the caller": (
        "ALTER FUNCTION events_settled_position RESET search_path; ALTER FUNCTION events_seal_next RESET search_path",
        "was renamed: events_seal_next, events_settled_position",
    ),
    "rights of the caller": (
        "ALTER FUNCTION events_settled_position() SECURITY INVOKER",
        "was renamed: events_settled_position",
    ),
    "positions cached": ("ALTER SEQUENCE events_event_position_seq CACHE 20", "INCREMENT 1, CACHE 20: readers"),
    "positions by twos": ("ALTER SEQUENCE events_event_position_seq INCREMENT 2", "INCREMENT 2, CACHE 1: readers"),
    "positions in a circle": ("ALTER SEQUENCE events_event_position_seq CYCLE", "CACHE 1, CYCLE: readers"),
    "positions all used": (
        f"SELECT setval('events_event_position_seq', {2**62 + 1})",
        "half of all positions are used",
    ),
    "sequence restored wrong": ("SELECT setval('events_event_position_seq', 1)", "the sequence of positions is at 1"),
    "aggregate behind": (
        f"{MAINTAIN} UPDATE events_aggregate SET version = 2 WHERE aggregate_id = 'a-1'",
        "aggregate a-1 is at version 2, but its last event is 3",
    ),
    "event gone": (
        f"{MAINTAIN} DELETE FROM events_event WHERE aggregate_id = 'a-1' AND version = 3",
        "aggregate a-1 is at version 3, but its last event is 2",
    ),
    "commits not waited for": ("SET LOCAL synchronous_commit = off", "synchronous_commit is off"),
    "old snapshots": (
        "SET LOCAL default_transaction_isolation = 'serializable'",
        "transactions are serializable by default",
    ),
    "index not valid": (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'events_event_type'::regclass",
        "the index events_event_type is not valid",
    ),
    "never frozen": (
        "UPDATE pg_class SET relfrozenxid = '2' WHERE oid = 'events_event'::regclass",
        "events_event was last frozen 2,147,483,647 transactions ago",
    ),
    "clock set back": (
        f"{MAINTAIN} UPDATE events_event SET recorded_at = now() + interval '1 hour'",
        "in the future: the server's clock was set back",
    ),
    "unique index gone": (
        "ALTER TABLE events_event DROP CONSTRAINT events_event_event_id_key",
        "no unique index keeps event_id of events_event unique",
    ),
    "position below 1": (
        "SET LOCAL session_replication_role = 'replica'; UPDATE events_event SET position = -position - 5",
        "there is an event at position -",
    ),
    "function of the projections": (
        "ALTER FUNCTION projections_enter_inline SECURITY INVOKER",
        "was renamed: projections_enter_inline",
    ),
    "checkpoint at the end of all numbers": (
        "UPDATE projections_checkpoint SET position = 9223372036854775807",
        "is at position 9223372036854775807, beyond the last event",
    ),
    "schemas of others": ("GRANT CREATE ON DATABASE {database} TO PUBLIC", "PUBLIC may create schemas"),
    "migration undone": (
        "DELETE FROM django_migrations WHERE app = 'events' AND name = '0002_sql'",
        "migrations of events are not applied: 0002_sql",
    ),
    "worker gone": ("DELETE FROM projections_heartbeat", "no worker has been seen in the last 40 s"),
    "worker silent": (
        "UPDATE projections_heartbeat SET seen_at = now() - interval '1 minute'",
        "no worker has been seen in the last 40 s",
    ),
    "projection without code": (
        "UPDATE projections_projectionstate SET name = 'left_over' WHERE name = 'orders'",
        "projection left_over has rows, but its code is gone",
    ),
}


@pytest.mark.parametrize(("statement", "problem"), FAULTS.values(), ids=FAULTS)
def test_fault_is_found(healthy: None, statement: str, problem: str) -> None:
    connection.cursor().execute(statement.replace("{database}", f'"{connection.settings_dict["NAME"]}"'))
    found = findings()
    assert any(problem in finding.problem for finding in found), found
    assert all(finding.remedy for finding in found)
    with pytest.raises(CommandError, match=r"\d findings?\."):
        call_command("events_doctor", json=True)


@pytest.mark.django_db(transaction=True)
def test_open_append_is_named(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MAX_OPEN_APPEND", timedelta(0))
    store.dispatch(*some(2))
    last = Event.objects.latest("position").position
    with open_append(store, new("b-1")):
        (finding,) = doctor.open_appends("default")
        assert "has appended and is still open" in finding.problem
        assert finding.since
        assert f"readers wait at position {last}" in finding.problem
        assert "pg_terminate_backend(" in finding.remedy
    with transaction.atomic():
        store.dispatch(new("c-1"))
        connection.cursor().execute("PREPARE TRANSACTION 'left behind'")
    try:
        (finding,) = doctor.open_appends("default")
        assert "the prepared transaction 'left behind'" in finding.problem
        assert "ROLLBACK PREPARED 'left behind'" in finding.remedy
    finally:
        connection.cursor().execute("ROLLBACK PREPARED 'left behind'")
    assert list(doctor.open_appends("default")) == []


@pytest.mark.django_db(transaction=True)
def test_dead_rows_are_found(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "MIN_DEAD_ROWS", 10)
    store.dispatch(*[new(f"a-{n}") for n in range(60)])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{MAINTAIN} DELETE FROM events_aggregate")
    connection.cursor().execute("SELECT pg_stat_force_next_flush()")
    connection.cursor().execute("SELECT 1")
    found = [finding.problem for finding in doctor.tables("default")]
    assert any("events_aggregate has " in problem and "dead rows" in problem for problem in found), found


def test_seals_that_are_not_kept_up_are_found(healthy: None, store: EventStore) -> None:
    store.dispatch(new("c-1"))
    assert list(doctor.seals("default")) == []
    with connection.cursor() as cursor:
        cursor.execute(f"{MAINTAIN} UPDATE events_event SET recorded_at = now() - interval '25 hours'")
    (finding,) = doctor.seals("default")
    assert "are not sealed" in finding.problem
    assert finding.severity is Severity.WARNING


def test_clocks_that_do_not_agree_are_found(healthy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    there = datetime.now(UTC) + timedelta(seconds=90)
    monkeypatch.setattr(doctor.timezone, "now", lambda: there)
    (finding,) = doctor.clocks("default")
    assert "clock and the database server's are 0:01:30 apart" in finding.problem


def test_aggregates_without_a_kind_are_found(healthy: None, store: EventStore) -> None:
    store.dispatch(*(new(f"order-{number}") for number in range(100)))
    assert list(doctor.categories("default")) == []
    store.dispatch(*(new(str(uuid4())) for _ in range(300)))
    (finding,) = doctor.categories("default")
    assert "categories: filters, charts and permissions by category are of little use" in finding.problem
    assert finding.severity is Severity.WARNING
