"""Finding events page by page: what a plain query finds, all of it, once and in order, in bounded pieces."""

import random
import time
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from events.admin import search as search_module
from events.admin.search import SearchResult, search
from events.models import Aggregate, AggregateQuerySet, Event, EventQuerySet
from events.store import EventStore
from tests.events.support import EVENTS, link_on, page, positions_on
from tests.support import last_position, new, some

pytestmark = pytest.mark.django_db


def test_text_that_is_no_id_is_searched_for_in_the_data(staff: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new(data={"sku": "MUG-1"}))
    html = page(staff, EVENTS, q="MUG")
    assert positions_on(html) == []
    assert positions_on(page(staff, EVENTS + link_on(html, "Search for it in the data"))) == [event.position]


def test_search_that_ran_out_of_time_says_how_far_it_came(
    staff: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(*some(80))
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 0)
    html = page(staff, EVENTS, q="absent", **{"in": "data"})
    reached = last_position() + 1 - search_module.FIRST_BATCH_POSITIONS
    assert f"Nothing found up to position {reached}; the search is not complete." in html
    monkeypatch.undo()
    assert "No event matches" in page(staff, EVENTS + link_on(html, "Search further"))


CATEGORIES = ("order", "cart", "orderly")


def fill(store: EventStore, number: int = 150) -> None:
    chance = random.Random(7)
    for n in range(number):
        text = "needle" if n % 17 == 0 else "hay"
        kind = chance.choice(("Opened", "Closed"))
        store.dispatch(new(f"{chance.choice(CATEGORIES)}-{chance.randrange(6)}", kind, data={"text": text, "n": n}))


def pages(events: EventQuerySet, aggregates: AggregateQuerySet | None, **options: Any) -> list[list[int]]:
    """Go on from page to page as a user would; the positions on each."""
    seen: list[list[int]] = []
    name = "before" if options.get("newest_first", True) else "after"
    while True:
        found = search(events, aggregates, **options)
        seen.append([event.position for event in found.events])
        if found.next is None:
            return seen
        options[name] = found.next


SEARCHES: dict[str, Any] = {
    "all": lambda: (Event.objects.all(), None),
    "type": lambda: (Event.objects.of_types("Opened"), None),
    "category": lambda: (Event.objects.in_category("order"), Aggregate.objects.in_category("order")),
    "prefix": lambda: (
        Event.objects.filter(aggregate_id__startswith="order"),
        Aggregate.objects.filter(aggregate_id__startswith="order"),
    ),
    "aggregate": lambda: (Event.objects.of_aggregate("cart-1"), Aggregate.objects.filter(pk="cart-1")),
    "nothing": lambda: (Event.objects.in_category("none"), Aggregate.objects.in_category("none")),
    "both": lambda: (
        Event.objects.in_category("cart").of_types("Closed"),
        Aggregate.objects.in_category("cart"),
    ),
}


@pytest.mark.parametrize("few", [0, 10_000], ids=["many", "few"])
@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("text", ["", "NEEDLE", "absent"])
@pytest.mark.parametrize("name", SEARCHES)
def test_pages_are_what_one_query_finds(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, name: str, text: str, newest_first: bool, few: int
) -> None:
    monkeypatch.setattr(search_module, "FEW_EVENTS", few)
    monkeypatch.setattr(search_module, "FIRST_BATCH_POSITIONS", 4)
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 60)
    fill(store)
    events, aggregates = SEARCHES[name]()
    wanted = [
        event.position for event in events.order_by("position") if not text or text.lower() in str(event.data).lower()
    ]
    seen = pages(events, aggregates, text=text, newest_first=newest_first, limit=7)
    # A page has the newest first, in either direction.
    in_order = [position for page in seen for position in (page if newest_first else reversed(page))]
    assert in_order == (wanted[::-1] if newest_first else wanted)
    assert all(page == sorted(page, reverse=True) for page in seen)
    assert all(len(page) == 7 for page in seen[:-1])


def test_bounds_are_kept(store: EventStore) -> None:
    events = store.dispatch(*some(20))
    after, before = events[4].position, events[15].position
    wanted = [event.position for event in events[5:15]]
    found = search(Event.objects.all(), after=after, before=before, limit=50)
    assert [event.position for event in found.events] == wanted[::-1]
    assert found.next is None
    found = search(Event.objects.all(), after=after, before=before, newest_first=False, limit=4)
    assert [event.position for event in found.events] == wanted[3::-1]
    assert found.next == wanted[3]
    nothing = search(Event.objects.all(), after=after, before=after + 1, limit=5)
    assert nothing == SearchResult(events=[], next=None, has_timed_out=False)


@pytest.mark.parametrize("few", [0, 10_000], ids=["many", "few"])
@pytest.mark.parametrize("newest_first", [True, False])
def test_search_that_runs_out_of_time_goes_on_where_it_stopped(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, newest_first: bool, few: int
) -> None:
    monkeypatch.setattr(search_module, "FEW_EVENTS", few)
    monkeypatch.setattr(search_module, "FIRST_BATCH_POSITIONS", 3)
    monkeypatch.setattr(search_module, "GROWTH", 1)
    fill(store, 60)
    clock = count()
    # One look at the clock a stretch: each search has time for two of them.
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 5)
    monkeypatch.setattr(search_module, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    events, aggregates = SEARCHES["category"]()
    first = search(events, aggregates, text="absent", after=1, newest_first=newest_first, limit=5)
    assert first.has_timed_out
    assert first.next is not None
    assert first.events == []
    beginning = events.earliest("position").position - 1
    seen = pages(events, aggregates, text="needle", after=beginning, newest_first=newest_first, limit=5)
    assert len(seen) > 3
    found = sorted(position for page in seen for position in page)
    assert found == [event.position for event in events.order_by("position") if event.data["text"] == "needle"]


def test_search_stops_in_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 0)
    store.dispatch(*some(500))
    found = search(Event.objects.all(), text="absent", limit=5)
    assert (found.has_timed_out, found.events) == (True, [])


def test_text_is_searched_as_it_stands(store: EventStore) -> None:
    store.dispatch(new(data={"text": "50%_off é"}), new(data={"text": "50 off"}))
    for text, wanted in (("%_", 1), ("é", 1), ("OFF", 2), ("50", 2), ("5_ off", 0), ('"text": "50', 2)):
        assert len(search(Event.objects.all(), text=text, limit=5).events) == wanted


@pytest.mark.parametrize("few", [0, 10_000], ids=["many", "few"])
def test_statement_that_takes_too_long_is_cancelled(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    """What is not in memory yet may take as long as the disk does, whatever the stretches before it took."""
    monkeypatch.setattr(search_module, "FEW_EVENTS", few)
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 0.4)
    positions = [event.position for event in store.dispatch(*some(400))]
    slow = positions[250]
    naps = "(CASE WHEN events_event.position < %s THEN pg_sleep(0.1)::text ELSE '' END) = 'never'"
    events = Event.objects.extra(where=[naps], params=[slow])  # noqa: S610
    with connection.cursor() as cursor:  # in the test's own transaction, which goes on afterwards
        cursor.execute("SET LOCAL statement_timeout = '77s'")
    began = time.monotonic()
    found = search(events, Aggregate.objects.filter(pk="a-1") if few else None, limit=5)
    assert time.monotonic() - began < 5  # all of it would take 25 seconds
    assert (found.events, found.has_timed_out) == ([], True)
    assert found.next is not None
    assert positions[200] < found.next <= positions[-1] + 1
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "77s"


def test_slow_first_stretch_may_finish_so_that_a_search_makes_progress(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 0.01)
    store.dispatch(*some(200))
    naps = "(SELECT pg_sleep(0.002 + 0 * events_event.position)) IS NULL"
    found = search(Event.objects.extra(where=[naps]), limit=5)  # noqa: S610
    assert found.has_timed_out
    assert found.next == Event.objects.latest("position").position + 1 - search_module.FIRST_BATCH_POSITIONS


def test_search_in_a_transaction_leaves_it_as_it_was(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "SEARCH_SECONDS", 60)  # a busy machine is no matter here
    store.dispatch(*some(200))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '77s'")
        assert not search(Event.objects.all(), Aggregate.objects.filter(pk="a-1"), text="absent", limit=5).has_timed_out
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone()[0] == "77s"
