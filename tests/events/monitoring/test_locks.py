"""The doctor names who holds up the store by a lock, since when, what stops, and the remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from events.monitoring import locks
from events.store import EventStore
from tests.support import Background, Wait, new, open_append, some

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "MAX_HELD", timedelta(0))


@contextmanager
def another_session(*statements: str, **login: str) -> Iterator[int]:
    """Run statements in a transaction of another session, which stays open; yield its pid."""
    other = connection.copy("other")
    other.settings_dict |= login
    try:
        with other.cursor() as cursor:
            cursor.execute("SET application_name = 'stranger'; BEGIN")
            for statement in statements:
                cursor.execute(statement)
            cursor.execute("SELECT pg_backend_pid()")
            yield cursor.fetchone()[0]
    finally:
        other.close()


@pytest.mark.parametrize(
    ("statement", "stopped"),
    [
        ("LOCK TABLE events_event IN SHARE MODE", "it stops appends"),
        ("LOCK TABLE events_aggregate IN EXCLUSIVE MODE", "it stops appends"),
        ("LOCK TABLE events_seal IN SHARE ROW EXCLUSIVE MODE", "it stops sealing"),
        ("SELECT projections_lock_out_writers()", "it stops appends that run INLINE projections"),
        ("LOCK TABLE projections_checkpoint", "it stops projections"),
    ],
)
def test_holder_of_a_table_is_named(statement: str, stopped: str) -> None:
    assert list(locks.holders("default")) == []
    with another_session(statement) as pid:
        (finding,) = locks.holders("default")
        assert f"session {pid} (" in finding.problem
        assert "stranger" in finding.problem
        assert "holds locks of the store" in finding.problem
        assert finding.since
        assert stopped in finding.problem
        assert f"pg_terminate_backend({pid})" in finding.remedy


def test_transaction_that_others_wait_for_is_named(store: EventStore) -> None:
    store.dispatch(*some(1))
    with (
        another_session("SELECT events_append_one('a-1', 'T', '{}')") as pid,
        Background(lambda: store.dispatch(new())),
    ):

        def named() -> Any:
            return [each for each in locks.holders("default") if f"session {pid} " in each.problem]

        (finding,) = Wait.until(named)
        assert "it has written to events_aggregate, events_event; 1 waiting session" in finding.problem
        connection.cursor().execute("SELECT pg_terminate_backend(%s)", [pid])


FLOOR = "SELECT {}('events_event_position_seq'::regclass::oid::int, 1)"


@pytest.mark.parametrize("lock", ["pg_advisory_lock", "pg_advisory_xact_lock"])
def test_floor_that_no_append_takes_is_named(store: EventStore, lock: str) -> None:
    with open_append(store, new("b-1")):
        assert list(locks.false_floors("default")) == []
    with another_session(FLOOR.format(lock)) as pid:
        (finding,) = locks.false_floors("default")
        assert f"session {pid} (" in finding.problem
        assert "readers of the whole store wait for it" in finding.problem


def test_floor_of_a_role_that_may_not_append_is_named() -> None:
    role = f"{connection.settings_dict['NAME']}_stranger"[:60]
    connection.cursor().execute(f'DROP ROLE IF EXISTS "{role}"; CREATE ROLE "{role}" LOGIN PASSWORD \'secret\'')
    try:
        with another_session(FLOOR.format("pg_advisory_lock_shared"), USER=role, PASSWORD="secret") as pid:
            (finding,) = locks.false_floors("default")
            assert f"session {pid} ({role}, stranger" in finding.problem
    finally:
        connection.cursor().execute(f'DROP ROLE "{role}"')
