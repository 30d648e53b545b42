"""The filters of the list of events."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from events.models import Event
from events.store import EventStore
from tests.events.support import EVENTS, link_on, page, positions_on
from tests.support import new, some, store_in_the_past

pytestmark = pytest.mark.django_db


def test_lists_filter_and_search(staff: Client, store: EventStore) -> None:
    first, *_ = store.dispatch(new("order-1", "Placed"), new("order-2", "Paid"), new("user-1", "Born"), new("orderly"))

    def found(url: str, **parameters: str) -> set[str]:
        rows = page(staff, url, **parameters).partition('id="result_list"')[2].partition("</table>")[0]
        return set(re.findall(r">([a-z]+-\d)</(?:a|span)>", rows))

    events, aggregate_list = EVENTS, "/admin/events/aggregate/"
    assert found(events, type="Placed") == {"order-1"}
    assert found(events, category="order") == found(aggregate_list, category="order") == {"order-1", "order-2"}
    assert found(events, q="order-") == found(aggregate_list, q="order- ") == {"order-1", "order-2"}
    assert found(events, q=str(first.event_id)) == {"order-1"}
    assert found(events, q="rder") == set()
    for offered in ("type=Born", "category=orderly", "category=user"):
        assert f"?{offered}" in page(staff, events)


def test_filters_are_kept_and_begin_at_the_newest_event(staff: Client, store: EventStore) -> None:
    newest_first = [event.position for event in reversed(store.dispatch(*some(20, "a-1"), *some(90, "b-1")))]
    narrow = page(staff, EVENTS, category="b", before=newest_first[10])
    assert positions_on(narrow) == newest_first[11:61]
    assert "category=b" in link_on(narrow, "Older")
    assert "before" not in link_on(narrow, "Newest") + link_on(narrow, "Happened") + link_on(narrow, "Today")
    assert 'name="before"' not in narrow
    assert '<input type="hidden" name="category" value="b">' in narrow
    for nonsense in ("x", "-1", "9" * 40):
        assert page(staff, EVENTS, before=nonsense, after="")


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({"q": "order-"}, {1, 2, 4}),
        ({"q": "mug", "in": "data"}, {2, 4}),
        ({"q": "mug", "in": "data", "category": "order"}, {2, 4}),
        ({"q": "mug", "in": "data", "type": "Paid"}, {4}),
        ({"q": "mug"}, set()),
        ({"correlation_id": "c-1"}, {1, 3}),
        ({"correlation_id": "c-1", "category": "cart"}, {3}),
        ({"aggregate_id": "order-1"}, {1, 2}),
        ({"aggregate_id": "order"}, set()),
        ({"aggregate_id": "order-1", "in": "data", "q": "MUG"}, {2}),
        ({"recorded_from": "2000-01-01"}, {1, 2, 3, 4}),
        ({"recorded_from": "2000-01-01T10:30:59+02:00", "recorded_before": "2000-01-02"}, set()),
        ({"recorded_before": "2000-01-01 10:30"}, set()),
        ({"recorded_from": "yesterday"}, {1, 2, 3, 4}),
        ({"recorded_from": "9999-12-31T23:59"}, set()),
        ({"recorded_from": "0001-01-01"}, {1, 2, 3, 4}),
        ({"recorded_before": "9999-12-31T23:59:59-12:00"}, {1, 2, 3, 4}),
    ],
)
def test_events_are_found(
    staff: Client, store: EventStore, parameters: dict[str, str], found: set[int], settings: Any
) -> None:
    settings.TIME_ZONE = "America/New_York"
    events = store.dispatch(
        new("order-1", "Placed", metadata={"correlation_id": "c-1"}),
        new("order-1", "Changed", data={"sku": "MUG-1"}),
        new("cart-1", "Placed", metadata={"correlation_id": "c-1"}),
        new("order-2", "Paid", data={"sku": "mug-1"}),
    )
    html = page(staff, EVENTS, **parameters)
    numbers = {event.position: number for number, event in enumerate(events, 1)}
    assert {numbers[position] for position in positions_on(html)} == found
    assert ("No event matches" in html) is not bool(found)
    assert ("is not a date and time" in html) is ("yesterday" in parameters.values())


def test_filter_by_time_allows_for_a_clock_that_was_set_back(staff: Client) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    minutes = (-90, 0, -20, -15, -12, 10)
    store_in_the_past(*[(f"a-{n}", "Happened", noon + timedelta(minutes=each)) for n, each in enumerate(minutes)])
    positions = list(Event.objects.order_by("position").values_list("position", flat=True))
    html = page(staff, EVENTS, recorded_from="2026-03-01T11:50")
    assert positions_on(html) == [positions[5], positions[1]]
    html = page(staff, EVENTS, recorded_before="2026-03-01T11:50")
    assert positions_on(html) == [positions[n] for n in (4, 3, 2, 0)]
