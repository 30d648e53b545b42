"""The admin as its users see it: lists, an aggregate's timeline, the form that appends."""

import re
from typing import Any

import pytest
from django.test import Client

from events.store import EventStore
from tests.events.support import EVENTS, history_url, page
from tests.support import UNREADABLE, new, random_text, store_unchecked

pytestmark = pytest.mark.django_db


def test_event_page_shows_readable_json(staff: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new(data={"lines": [{"sku": "é-7"}]}, metadata={"by": "me"}))
    html = page(staff, f"/admin/events/event/{event.position}/change/")
    assert "  &quot;lines&quot;: [\n    {\n      &quot;sku&quot;: &quot;é-7&quot;" in html
    assert '<span class="json-string">é-7</span>' in html
    assert str(event.event_id) in html


def test_event_without_data_has_a_page(staff: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    assert '<pre class="event-json" dir="ltr">{}</pre>' in page(staff, f"/admin/events/event/{event.position}/change/")


def test_event_page_shows_what_it_follows_and_what_belongs_to_it(staff: Client, store: EventStore) -> None:
    _, second, _, other = store.dispatch(
        new("order-1", "Placed", data={"n": 1}, metadata={"correlation_id": "c"}),
        new("order-1", "Paid", data={"n": 2}, metadata={"correlation_id": "c"}),
        new("order-1", "Shipped", metadata={"correlation_id": "c"}),
        new("cart-1", "Closed"),
    )
    html = page(staff, f"{EVENTS}{second.position}/change/")
    assert 'rel="prev">1 Placed</a>' in html
    assert 'rel="next">3 Shipped</a>' in html
    assert "<del>" not in html  # that is another fact, not a correction of this one
    assert history_url("order-1") in html
    assert "/flow/?correlation_id=c" in html
    assert "What came of it" not in page(staff, f"{EVENTS}{other.position}/change/")


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_pages_show_an_event_that_python_cannot_represent(
    staff: Client, store: EventStore, field: str, text: str
) -> None:
    related = {"correlation_id": "c"}
    (first,) = store.dispatch(new(data={"n": "one"}, metadata=related))
    position = store_unchecked(**{"metadata": '{"correlation_id": "c"}', field: text})
    (third,) = store.dispatch(new(data={"n": "three"}, metadata=related))
    of_event = page(staff, f"{EVENTS}{position}/change/")
    assert f"This event cannot be read: {field} " in of_event
    if field == "data":
        assert text[:200].replace('"', "&quot;") in of_event
    for other in (first, third):
        assert "cannot be read" not in page(staff, f"{EVENTS}{other.position}/change/")
    history = page(staff, history_url("a-1"))
    assert history.count("This event cannot be read") == 1
    assert "three" in history
    for url in (EVENTS, f"{EVENTS}?correlation_id=c", f"{EVENTS}?q=a-1", f"{EVENTS}?in=data&q=three", "/admin/"):
        assert "a-1" in page(staff, url)


def test_large_events_are_not_compared(staff: Client, store: EventStore, settings: Any) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    events = store.dispatch(*[new(data={"text": random_text(15_000)}) for _ in range(3)])
    html = page(staff, f"{EVENTS}{events[1].position}/change/")
    assert "too large to compare with version 1" in html
    assert "1 Happened</a>" in html
    assert "too large" not in page(staff, f"{EVENTS}{events[0].position}/change/")


def test_bytes_end_a_page_of_the_timeline(staff: Client, store: EventStore, settings: Any) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    store.dispatch(*[new(data={"text": random_text(8_000)}) for _ in range(5)])
    html = page(staff, history_url("a-1"))
    assert re.findall(r'id="event-(\d)"', html) == ["5", "4"]
    assert "?up_to_version=3" in html
    html = page(staff, f"{history_url('a-1')}?up_to_version=1")
    assert re.findall(r'id="event-(\d)"', html) == ["1"]
    assert "Older" not in html
