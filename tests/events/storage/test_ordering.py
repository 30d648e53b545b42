"""Following the whole store while others write: nothing is missed, and nobody waits who need not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection, connections, transaction

from events.storage import ordering
from events.store import EventStore
from tests.support import Background, Wait, last_position, new, newest_position, some

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_subscribers")]


@contextmanager
def another_connection() -> Iterator[Any]:
    """A plain connection to the test database, outside Django's."""
    other = connection.copy("another")
    try:
        with other.cursor() as cursor:
            yield cursor
    finally:
        other.close()


def test_open_append_holds_readers_below_its_floor_until_it_ends(store: EventStore) -> None:
    (before,) = store.dispatch(new("before"))
    for rolled_back in (False, True):
        appended, may_end = threading.Event(), threading.Event()

        def hold(
            appended: threading.Event = appended, may_end: threading.Event = may_end, rolled_back: bool = rolled_back
        ) -> None:
            with transaction.atomic():
                store.dispatch(new("held"))
                appended.set()
                may_end.wait(20)
                transaction.set_rollback(rolled_back)

        start = store.settled_position()
        with Background(hold):
            assert appended.wait(20)
            (after,) = store.dispatch(new("after"))
            assert store.settled_position() == start < after.position
            assert [event.aggregate_id for event in store.read_all(after=start)] == []
            may_end.set()
            Wait.until(lambda after=after: store.settled_position() == after.position)
        expected = ["after"] if rolled_back else ["held", "after"]
        assert [event.aggregate_id for event in store.read_all(after=start)] == expected
    assert before.position < start


def test_transactions_that_do_not_append_hold_no_reader_back(store: EventStore) -> None:
    with another_connection() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("CREATE TABLE elsewhere (id int)")
        cursor.execute("SELECT pg_current_xact_id(), pg_advisory_xact_lock_shared(1, 0), pg_advisory_xact_lock(77)")
        events = store.dispatch(*some(3))
        assert list(store.read_all()) == events
        cursor.execute("ROLLBACK")


def test_prepared_transaction_holds_readers_up_as_well(store: EventStore) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW max_prepared_transactions")
        if cursor.fetchone() == ("0",):
            pytest.skip("this server allows no prepared transactions (max_prepared_transactions = 0)")
    with another_connection() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT events_hold_floor(), nextval('events_event_position_seq')")
        cursor.execute("PREPARE TRANSACTION 'events_test'")
        try:
            start = newest_position()
            (after,) = store.dispatch(new())
            assert store.settled_position() == start
        finally:
            cursor.execute("ROLLBACK PREPARED 'events_test'")
    assert store.settled_position() == after.position


def test_transaction_sees_its_own_events_and_no_others_unsettled(store: EventStore) -> None:
    start = newest_position()
    with transaction.atomic():
        own = store.dispatch(*some(2))
        assert list(store.read_all()) == own
        with another_connection() as cursor:
            cursor.execute("SELECT events_settled_position()")
            assert cursor.fetchone() == (start,)
    assert list(store.read_all()) == own


def test_rolled_back_savepoint_gives_up_its_floor_and_the_next_append_takes_a_new_one(store: EventStore) -> None:
    (before,) = store.dispatch(new())
    with transaction.atomic():
        with transaction.atomic():
            store.dispatch(new())
            transaction.set_rollback(True)
        with another_connection() as cursor:
            cursor.execute("SELECT events_settled_position()")
            assert cursor.fetchone() == (before.position,)
            burnt = last_position()
            (after,) = store.dispatch(new())
            cursor.execute("SELECT events_settled_position()")
            assert cursor.fetchone() == (before.position,)
    assert store.settled_position() == after.position > burnt > before.position


def test_position_without_an_event_is_never_reported(store: EventStore) -> None:
    """A crash may give it out again; see `test_positions_burnt_before_a_crash_are_not_missed_after_it`."""
    (stored,) = store.dispatch(new())
    with transaction.atomic():
        store.dispatch(*some(3))
        transaction.set_rollback(True)
    assert store.settled_position() == stored.position == last_position() - 3


@pytest.mark.parametrize("start", [2**31 - 3, 2**32 - 3, 2**40])
def test_settled_position_outlives_the_31_bits_of_a_lock_key(store: EventStore, start: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('events_event_position_seq', %s)", [start])
    first = store.dispatch(new("a-1"))[0].position
    assert (first, store.settled_position()) == (start + 1, start + 1)
    with another_connection() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT events_hold_floor(), nextval('events_event_position_seq')")
        events = store.dispatch(*some(5, "b-1"))
        assert store.settled_position() == first
        cursor.execute("ROLLBACK")
    assert store.settled_position() == events[-1].position


@pytest.mark.parametrize("held", [1, 5])
def test_append_waits_for_nobody_who_holds_the_lock_of_its_floor(store: EventStore, held: int) -> None:
    """Any role that may connect can take any advisory lock: the append takes a lower floor."""
    start = store.dispatch(*some(3))[-1].position
    with another_connection() as cursor:
        for floor in range(start - held + 1, start + 1):
            key = floor & (2**31 - 1)
            cursor.execute("SELECT pg_advisory_lock('events_event_position_seq'::regclass::oid::int, %s::int)", [key])
        with transaction.atomic():
            connection.cursor().execute("SET LOCAL lock_timeout = '1s'")
            store.dispatch(new("x-1"))
            store.dispatch(new("x-2"))
            assert store.settled_position() <= start
            with another_connection() as reader:
                reader.execute("SELECT events_settled_position()")
                assert reader.fetchone()[0] <= start
        cursor.execute("SELECT pg_advisory_unlock_all()")
    assert [event.aggregate_id for event in store.read_all(after=start)] == ["x-1", "x-2"]


def test_floor_below_zero_is_a_floor(store: EventStore) -> None:
    connection.cursor().execute("SELECT setval('events_event_position_seq', 1, false)")
    with another_connection() as cursor:
        cursor.execute("SELECT pg_advisory_lock('events_event_position_seq'::regclass::oid::int, 0)")
        with transaction.atomic():
            store.dispatch(new("x-1"))
            cursor.execute("SELECT pg_advisory_unlock_all()")
            cursor.execute("SELECT events_settled_position()")
            assert cursor.fetchone() == (0,)


def test_floor_above_the_last_position_belongs_to_a_later_writer_and_does_not_count(store: EventStore) -> None:
    store.dispatch(*some(3))
    with another_connection() as cursor:
        cursor.execute("BEGIN")
        cursor.execute(
            "SELECT pg_advisory_xact_lock_shared('events_event_position_seq'::regclass::oid::int, %s::int)",
            [(last_position() + 10) % 2**31],
        )
        assert store.settled_position() == last_position()
        cursor.execute("ROLLBACK")


def test_store_in_another_schema_has_floors_of_its_own(store: EventStore) -> None:
    """One transaction that appends in two schemas is known to the readers of both."""
    store.dispatch(new())
    with another_connection() as cursor:
        cursor.execute("CREATE SCHEMA other; CREATE SEQUENCE other.events_event_position_seq")
        try:
            cursor.execute("BEGIN")
            cursor.execute("SET LOCAL search_path = other, public")
            cursor.execute("SELECT events_hold_floor(), nextval('events_event_position_seq')")
            (after,) = store.dispatch(new("after"))
            assert store.settled_position() == after.position
            cursor.execute("SET LOCAL search_path = public")
            cursor.execute("SELECT events_hold_floor(), nextval('events_event_position_seq')")
            store.dispatch(new("later"))
            assert store.settled_position() == after.position
            cursor.execute("ROLLBACK")
            assert store.settled_position() == last_position()
        finally:
            cursor.execute("DROP SCHEMA other CASCADE")


def test_connections_of_this_test_are_real() -> None:
    """The tests above would prove nothing in one shared transaction."""
    assert not connections["default"].in_atomic_block


def test_last_given_out_counts_the_sequence_and_the_events(store: EventStore) -> None:
    (event,) = store.dispatch(new())
    with connection.cursor() as cursor:
        for value, expected in ((event.position + 5, event.position + 5), (1, event.position)):
            cursor.execute("SELECT setval('events_event_position_seq', %s)", [value])
            assert ordering.last_given_out("default") == expected
        cursor.execute("SELECT setval('events_event_position_seq', %s)", [event.position])


def test_transaction_holds_the_positions_above_its_floor_from_others(store: EventStore) -> None:
    (before,) = store.dispatch(new())
    assert not ordering.is_held_here(before.position, "default")
    with transaction.atomic():
        assert not ordering.is_held_here(before.position + 1, "default")
        (event,) = store.dispatch(new())
        assert ordering.is_held_here(event.position, "default")
        assert not ordering.is_held_here(before.position, "default")
    assert not ordering.is_held_here(event.position, "default")
