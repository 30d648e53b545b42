"""What the store says of itself: right where it counts, near where it estimates, and quick either way."""

import random
import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.models import Event
from events.monitoring import statistics
from events.monitoring.statistics import activity, busiest_aggregates, newest_position, open_appends, position_at, size
from events.store import EventStore
from tests.support import Background, Wait, new, open_append, some, store_in_the_past

pytestmark = pytest.mark.django_db

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


@given(gaps=st.lists(st.integers(0, 3), max_size=40), gap=st.integers(1, 5), asked=st.integers(-2, 60))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_position_at_is_that_of_the_last_event_before(gaps: list[int], gap: int, asked: int) -> None:
    with transaction.atomic():
        moments = [START + sum(gaps[:n]) * SECOND for n in range(len(gaps))]
        store_in_the_past(*[("a-1", "Happened", moment) for moment in moments], gap=gap)
        moment = START + asked * SECOND
        before = Event.objects.filter(recorded_at__lt=moment).order_by("-position").values_list("position", flat=True)
        assert position_at(moment, "default") == (before.first() or 0)
        transaction.set_rollback(True)


def spread(number: int, over: timedelta, chance: random.Random) -> list[tuple[str, str, datetime]]:
    """Events of three categories, of which the first has half, at one pace."""
    return [
        (
            f"{chance.choice(('order', 'order', 'cart', 'user'))}-{chance.randrange(50)}",
            chance.choice(("Opened", "Opened", "Opened", "Closed")),
            START + n * over / number,
        )
        for n in range(number)
    ]


def test_activity_counts_by_period_category_and_type() -> None:
    events = spread(600, 6 * HOUR, random.Random(1))
    store_in_the_past(*events)
    starts = [START + n * HOUR for n in range(1, 6)]
    found = activity(starts, None, "default")
    assert not found.is_estimate
    counted = [event for event in events if event[2] >= starts[0]]
    assert found.total == len(counted) == 500
    assert [sum(column) for column in zip(*found.by_category.values(), strict=True)] == [100] * 5
    assert next(iter(found.by_category)) == "order"
    for category, numbers in found.by_category.items():
        assert sum(numbers) == sum(event[0].startswith(category) for event in counted)
    assert dict(found.by_type) == {kind: sum(event[1] == kind for event in counted) for kind in ("Opened", "Closed")}
    assert found.by_type[0][0] == "Opened"


def test_activity_of_many_events_is_estimated_the_same_way_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_EVENTS", 1000)
    monkeypatch.setattr(statistics, "SAMPLED_EVENTS", 800)
    # A pattern of one in four, which a sample of every fifth would meet again and again.
    events = [(f"{'order' if n % 4 else 'cart'}-1", "Happened", START + n * SECOND) for n in range(4000)]
    store_in_the_past(*events)
    starts = [START + n * 1000 * SECOND for n in range(4)]
    found = activity(starts, None, "default")
    assert found.is_estimate
    assert found.total == pytest.approx(4000, rel=0.02)
    assert [sum(column) for column in zip(*found.by_category.values(), strict=True)] == pytest.approx(
        [1000] * 4, rel=0.1
    )
    assert sum(found.by_category["order"]) == pytest.approx(3000, rel=0.1)
    assert found == activity(starts, None, "default")


def test_activity_is_that_of_the_categories_asked_for() -> None:
    store_in_the_past(*spread(200, HOUR, random.Random(2)))
    found = activity([START], ["cart"], "default")
    assert set(found.by_category) == {"cart"}
    assert found.total == Event.objects.in_category("cart").count() == sum(count for _, count in found.by_type)
    assert activity([START], [], "default").total == 0
    assert {name[:4] for name, _ in busiest_aggregates(START, ["cart"], "default")} == {"cart"}


def test_empty_store_says_so() -> None:
    assert newest_position("default") == position_at(START, "default") == 0
    assert activity([START], None, "default").total == 0
    assert busiest_aggregates(START, None, "default") == []
    assert open_appends("default") == []
    assert (size("default").events, size("default").aggregates, size("default").is_estimate) == (0, 0, False)


def test_busiest_aggregates_come_first(store: EventStore) -> None:
    store.dispatch(*some(3, "a-1"), *some(5, "b-1"), new("c-1"))
    assert busiest_aggregates(START, None, "default", limit=2) == [("b-1", 5), ("a-1", 3)]
    assert busiest_aggregates(datetime(2100, 1, 1, tzinfo=UTC), None, "default") == []


def test_busiest_aggregates_are_those_of_the_newest_events(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_EVENTS", 10)
    store.dispatch(*some(30, "old-1"))
    store.dispatch(*some(10, "new-1"))
    assert busiest_aggregates(START, None, "default") == [("new-1", 10)]


def test_size_of_a_large_store_is_what_the_database_remembers(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(*some(60))
    assert (size("default").events, size("default").is_estimate) == (60, False)
    monkeypatch.setattr(statistics, "COUNTED_EVENTS", 50)
    with connection.cursor() as cursor:
        cursor.execute("SELECT reltuples FROM pg_class WHERE relname = 'events_event'")
        is_forgotten = cursor.fetchone()[0] <= 0
    if is_forgotten:  # never looked at: then at least what was counted
        assert (size("default").events, size("default").is_estimate) == (51, True)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event, events_aggregate")
    found = size("default")
    assert (found.events, found.aggregates, found.is_estimate) == (60, 1, True)
    assert found.bytes > 60 * 100


def test_size_is_never_more_than_there_are_positions(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "COUNTED_EVENTS", 50)
    with transaction.atomic(), connection.cursor() as cursor:
        store.dispatch(*some(200))
        cursor.execute("ANALYZE events_event")  # what it remembers stays, even if the events do not
        transaction.set_rollback(True)
    store.dispatch(*some(60))
    assert size("default").events == 60


@pytest.mark.django_db(transaction=True)
def test_open_appends_name_the_session_that_holds_readers_back(store: EventStore) -> None:
    with open_append(store, new("a-1")), open_append(store, new("b-1")):
        first, second = open_appends("default")
        assert first.pid
        assert second.pid
        assert first.pid != second.pid
        assert first.since
        assert second.since
        assert first.since < second.since
        assert first.state == "idle in transaction"
        assert first.waits_for == "Client ClientRead"
        assert first.blocked_by == []
        assert first.user
        assert first.query
        assert first.prepared is None
    assert open_appends("default") == []


@pytest.mark.django_db(transaction=True)
def test_waiting_append_names_the_session_that_blocks_it(store: EventStore) -> None:
    is_held = threading.Event()

    def write_two() -> None:
        assert is_held.wait(20)
        with transaction.atomic():
            store.dispatch(new("b-1"))
            store.dispatch(new("a-1"))

    # In this order: the one that holds ends first.
    with Background(write_two), open_append(store, new("a-1")):
        is_held.set()
        Wait.until(lambda: any(each.blocked_by for each in open_appends("default")))
        holding, waiting = open_appends("default")
        assert waiting.blocked_by == [holding.pid]
        assert waiting.waits_for
        assert waiting.waits_for.startswith("Lock ")
    assert open_appends("default") == []
