"""Writers side by side, on real connections: one winner, no gaps, no deadlocks, and a store that can always be used."""

import os
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

import pytest
from django.db import connection, connections, transaction

from events.exceptions import DuplicateEvent, VersionConflict
from events.models import Event
from events.store import EventStore
from events.types import ALL, ANY, ExpectedVersion
from tests.support import (
    Background,
    Wait,
    aggregates,
    in_threads,
    new,
    raise_first,
    some,
    somebody_waits_for_us,
    stored,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("version", [0, 3])
def test_of_two_with_the_same_expectation_exactly_one_wins(store: EventStore, version: int) -> None:
    for round_ in range(20):
        name = f"a-{round_}"
        store.dispatch(*some(version, name))
        results = in_threads(*[lambda name=name: store.dispatch(new(name), expected_version=version)] * 2)
        won = [result for result in results if isinstance(result, list)]
        lost = [result for result in results if isinstance(result, VersionConflict)]
        assert (len(won), len(lost)) == (1, 1), results
        assert (lost[0].expected, lost[0].actual) == (version, version + 1)
        assert [event.version for event in store.get_events_for_aggregate(name)] == list(range(1, version + 2))


@pytest.mark.parametrize("rolled_back", [False, True])
def test_second_writer_waits_for_the_first_and_then_decides(store: EventStore, rolled_back: bool) -> None:
    store.dispatch(new())

    def second() -> Any:
        try:
            return store.dispatch(new(), expected_version=1)
        except VersionConflict as conflict:
            return conflict

    with ExitStack() as stack, transaction.atomic():
        store.dispatch(new(), expected_version=1)
        other = stack.enter_context(Background(second))
        Wait.until(somebody_waits_for_us)
        transaction.set_rollback(rolled_back)
    assert aggregates() == {"a-1": 2}
    assert isinstance(other.result, list if rolled_back else VersionConflict)


def test_many_writers_of_one_aggregate_leave_no_gap(store: EventStore) -> None:
    def write() -> None:
        for _ in range(100):
            store.dispatch(new())

    raise_first(in_threads(*[write] * 8))
    versions = Event.objects.order_by("version").values_list("version", flat=True)
    assert list(versions) == list(range(1, 801))
    times = list(Event.objects.order_by("version").values_list("recorded_at", flat=True))
    assert times == sorted(times)


def test_calls_over_the_same_aggregates_in_opposite_order_never_deadlock(store: EventStore) -> None:
    def write(*names: str) -> None:
        for round_ in range(100):
            # Every round meets aggregates that exist and one that both create.
            store.dispatch(*[new(name) for name in names], *[new(f"{name}{round_}") for name in names])

    raise_first(in_threads(lambda: write("a", "b"), lambda: write("b", "a"), lambda: write("b", "c", "a")))
    assert aggregates()["a"] == aggregates()["b"] == 300


def test_expectations_hold_against_each_other_until_commit(store: EventStore) -> None:
    """Each of two calls writes one aggregate and expects the other not to exist: both cannot succeed."""
    for round_ in range(50):
        a, b = f"a-{round_}", f"b-{round_}"
        results = in_threads(
            lambda a=a, b=b: store.dispatch(new(a), expected_version={b: 0}),
            lambda a=a, b=b: store.dispatch(new(b), expected_version={a: 0}),
        )
        assert sorted(type(result).__name__ for result in results) == ["DispatchResult", "VersionConflict"], results
    assert len(aggregates()) == 50


def test_checked_aggregate_cannot_move_before_commit(store: EventStore) -> None:
    store.dispatch(new("checked"))
    with ExitStack() as stack, transaction.atomic():
        store.dispatch(new("written"), expected_version={"checked": 1})
        other = stack.enter_context(Background(lambda: store.dispatch(new("checked"))))
        Wait.until(somebody_waits_for_us)
        assert other.result is None
    assert other.result[0].version == 2


@pytest.mark.parametrize("expected", [0, ANY])
def test_simultaneous_retries_of_one_call_write_it_once(store: EventStore, expected: ExpectedVersion) -> None:
    for round_ in range(30):
        events = some(3, f"a-{round_}") + some(2, f"b-{round_}") * (round_ % 2)
        results = in_threads(*[lambda events=events: store.dispatch(*events, expected_version=expected)] * 2)
        raise_first(results)
        first, second = results
        assert first == second
        assert [event.position for event in first] == [event.position for event in second]
    assert Event.objects.count() == 30 * 3 + 15 * 2


def test_one_id_under_two_aggregates_at_the_same_moment_is_stored_once(store: EventStore) -> None:
    outcomes: Counter[str] = Counter()
    for round_ in range(30):
        event_id = new().event_id
        results = in_threads(
            lambda round_=round_, event_id=event_id: store.dispatch(new(f"a-{round_}", event_id=event_id)),
            lambda round_=round_, event_id=event_id: store.dispatch(new(f"b-{round_}", event_id=event_id)),
        )
        outcomes.update(type(result).__name__ for result in results)
    assert outcomes == {"DispatchResult": 30, "DuplicateEvent": 30}
    assert len(aggregates()) == len(stored()) == 30


@pytest.mark.parametrize("subscribed", [False, True])
@pytest.mark.usefixtures("no_subscribers")
def test_race_for_one_id_inside_a_transaction_leaves_no_half_of_it(store: EventStore, subscribed: bool) -> None:
    """PostgreSQL ends the transaction, unless a subscriber had the dispatch wrapped in a savepoint."""
    if subscribed:
        store.subscribe(ALL, lambda **kwargs: None)
    event_id = new().event_id

    def too_late() -> None:
        with transaction.atomic():
            store.dispatch(new("b-2"))
            with pytest.raises(DuplicateEvent):
                store.dispatch(new("b-1", event_id=event_id))
            assert connection.needs_rollback is not subscribed

    with ExitStack() as stack, transaction.atomic():
        store.dispatch(new("a-1", event_id=event_id))
        stack.enter_context(Background(too_late))
        Wait.until(somebody_waits_for_us)
    assert aggregates() == ({"a-1": 1, "b-2": 1} if subscribed else {"a-1": 1})


@pytest.mark.usefixtures("no_subscribers")
def test_a_long_transaction_of_many_dispatches_takes_one_lock(store: EventStore) -> None:
    with transaction.atomic():
        for number in range(200):
            store.dispatch(new(f"a-{number % 50}"))
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()")
            assert cursor.fetchone() == (1,)
    assert Event.objects.count() == 200


def test_retry_after_a_restart_and_a_thousand_events_of_others(store: EventStore) -> None:
    events = some(3)
    first = store.dispatch(*events, expected_version=0)
    store.dispatch(*some(1000, "b-1"))
    store.dispatch(*some(1000))
    program = f"""
import django; django.setup()
from uuid import UUID
from django.db import connection
connection.settings_dict["NAME"] = {connections["default"].settings_dict["NAME"]!r}
from events.store import EventStore
from events.types import ALL, ANY, ExpectedVersion
from events.types import NewEvent, EXISTS, ANY
events = [NewEvent("a-1", "Happened", {{"n": n}}, event_id=UUID(text))
          for n, text in enumerate({[str(event.event_id) for event in events]!r}, start=1)]
for expected in (0, EXISTS, ANY, 77):
    answer = EventStore().dispatch(*events, expected_version=expected)
    print([(event.position, event.version, event.timestamp.isoformat()) for event in answer])
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_env())
    expected: Any = [(event.position, event.version, event.timestamp.isoformat()) for event in first]
    assert answer.stdout == f"{expected}\n" * 4
    assert Event.objects.count() == 2003


def _env() -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "eventstore_project.settings"}
