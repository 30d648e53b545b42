"""Other clusters: one a store moves into, a standby, one that crashes. The store goes on, and does not pretend."""

import os
import signal
from typing import Any

import psycopg
import pytest

from events.store import EventStore
from eventstore_project.cluster import Cluster
from tests.clusters import connect_to, restore_into, standby_of
from tests.support import Wait, new, some

pytestmark = pytest.mark.django_db(transaction=True)


def test_store_goes_on_after_dump_and_restore_into_a_new_cluster(store: EventStore, new_cluster: Cluster) -> None:
    for number in range(20):
        store.dispatch(*some(10, f"a-{number}"))
    retried = store.get_events_for_aggregate("a-3")
    checkpoint = list(store.read_all())[149].position
    waiting = [event.position for event in store.read_all(after=checkpoint)]
    restore_into(new_cluster)

    with connect_to(new_cluster) as restored:

        def rows(query: str, *arguments: Any) -> list[Any]:
            return restored.execute(query, arguments).fetchall()

        (settled,) = rows("SELECT events_settled_position()")[0]
        assert settled == store.settled_position()
        after = rows("SELECT position FROM events_event WHERE position > %s ORDER BY position", checkpoint)
        assert [position for (position,) in after] == waiting
        append = (
            "SELECT outcome, version, position FROM events_append(ARRAY['a-3'], ARRAY['Happened'],"
            " ARRAY['{\"n\": 1}']::jsonb[], ARRAY['{}']::jsonb[], ARRAY[NULL]::timestamptz[], ARRAY[%s]::uuid[])"
        )
        assert rows(append, retried[0].event_id) == [("stored", 1, retried[0].position)]
        ((outcome, version, position),) = rows(append, new().event_id)
        assert (outcome, version) == ("appended", 11)
        assert position > settled
        with pytest.raises(psycopg.DatabaseError, match="cannot be changed or removed"):
            restored.execute("DELETE FROM events_event")


def test_standby_does_not_report_a_settled_position(store: EventStore, new_cluster: Cluster) -> None:
    """It has the sequence's values before the events, and none of the locks: readers there would miss events."""
    store.dispatch(*some(3))
    restore_into(new_cluster)
    with standby_of(new_cluster) as standby, connect_to(standby) as connection:
        Wait.until(lambda: connection.execute("SELECT count(*) FROM events_event").fetchone() == (3,))
        with pytest.raises(psycopg.DatabaseError, match="cannot be read from a standby") as caught:
            connection.execute("SELECT events_settled_position()")
        assert caught.value.sqlstate == "EV003"


def test_positions_burnt_before_a_crash_are_not_missed_after_it(store: EventStore, new_cluster: Cluster) -> None:
    """An append is rolled back, and the server crashes before that is on disk: the same positions are taken again."""
    store.dispatch(*some(3))
    restore_into(new_cluster)
    with connect_to(new_cluster) as server:
        server.execute("ALTER SYSTEM SET wal_writer_delay = '10s'")
    for _ in range(5):  # the log can come to the disk for other reasons; then none is taken again
        told, burnt, position = _crash_after_a_rollback(new_cluster)
        assert position > told
        if position < burnt:
            return
    pytest.fail("no position was given out again: this proves nothing")


def _crash_after_a_rollback(cluster: Cluster) -> tuple[int, int, int]:
    """Return the settled position and the last one burnt before the crash, and the first one taken after it."""
    with connect_to(cluster) as server:
        server.execute("SELECT pg_reload_conf()")
        server.execute("CHECKPOINT")
        _append(server)
        with server.transaction(force_rollback=True):
            burnt = max(_append(server) for _ in range(100))
        told = server.execute("SELECT events_settled_position()").fetchone()
        os.kill(int((cluster.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    assert told is not None
    cluster._start()
    with connect_to(cluster) as server:
        return told[0], burnt, _append(server)


def _append(server: "psycopg.Connection[Any]") -> int:
    """Append an event past Django; return its position."""
    row = server.execute(
        "SELECT position FROM events_append(ARRAY['b-1'], ARRAY['Happened'], ARRAY['{}']::jsonb[],"
        " ARRAY['{}']::jsonb[], ARRAY[NULL]::timestamptz[], ARRAY[gen_random_uuid()])"
    ).fetchone()
    assert row
    return int(row[0])
