"""The page of a flow: its events in lanes and in a list, with what other apps know about them."""

import re
from collections.abc import Callable, Iterator

import pytest
from django.contrib.auth.models import User
from django.test import Client

from events.admin import flow
from events.admin.events import EventAdmin
from events.models import Event
from events.store import EventStore
from tests.events.support import EVENTS, page
from tests.support import new

pytestmark = pytest.mark.django_db

FLOW = f"{EVENTS}flow/"


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[flow.Note]]:
    """Notes on each event, in place of those of other apps."""
    of_each: list[flow.Note] = []
    monkeypatch.setattr(EventAdmin, "notes", [lambda request, events: {each.position: of_each for each in events}])
    return of_each


def a_flow(store: EventStore, correlation_id: str = "c") -> list[Event]:
    of_flow = {"correlation_id": correlation_id}
    (first,) = store.dispatch(new("a-1", "Began", metadata=of_flow))
    (second,) = store.dispatch(new("b-1", "Went", metadata=of_flow | {"causation_id": str(first.event_id)}))
    rest = store.dispatch(
        new("c-1", metadata=of_flow | {"causation_id": str(second.event_id)}),
        new("d-1", metadata=of_flow | {"causation_id": str(first.event_id)}),
        new("e-1", metadata=of_flow | {"causation_id": "unknown"}),
        new("f-1", metadata={"correlation_id": "other"}),
    )
    return [first, second, *rest]


def steps_of(correlation_id: str, categories: set[str] | None = None) -> list[flow.Step]:
    return flow.steps(flow.events_of(correlation_id, categories), "admin", {})[0]


def test_flow_shows_what_led_to_what(store: EventStore) -> None:
    a_flow(store)
    steps = steps_of("c")
    assert [step.event.aggregate_id for step in steps] == ["a-1", "b-1", "c-1", "d-1", "e-1"]
    assert [step.depth for step in steps] == [0, 1, 2, 1, 0]
    assert [step.cause.aggregate_id if step.cause else None for step in steps] == [None, "a-1", "b-1", "a-1", None]
    assert [step.event.aggregate_id for step in steps_of("c", {"b"})] == ["b-1"]


def test_list_has_each_event_below_its_cause(store: EventStore) -> None:
    first, other = store.dispatch(
        new("a-1", metadata={"correlation_id": "c"}), new("b-1", metadata={"correlation_id": "c"})
    )
    for aggregate_id, cause in (("b-2", other), ("a-2", first), ("b-3", other)):
        store.dispatch(new(aggregate_id, metadata={"correlation_id": "c", "causation_id": str(cause.event_id)}))
    ordered = flow.below_causes(steps_of("c"))
    assert [step.event.aggregate_id for step in ordered] == ["a-1", "a-2", "b-1", "b-2", "b-3"]
    assert flow.below_causes([]) == []


def test_page_has_a_picture_and_a_list(staff: Client, store: EventStore, notes: list[flow.Note]) -> None:
    events = a_flow(store)
    notes += [flow.Note(text="receipts: handled"), flow.Note(text="stored by a reaction", mark="reaction")]
    html = page(staff, FLOW, correlation_id="c")
    spoken = re.findall(r'<a href="([^"]*)" aria-label="([^"]*)"><title>', html)
    assert [url for url, _ in spoken] == [f"{EVENTS}{each.position}/change/" for each in events[:5]]
    assert re.fullmatch(
        r"Went of b-1, version 1, \+\d+ m?s, caused by Began of a-1, stored by a reaction",
        spoken[1][1],
    )
    assert html.count('class="event-arrow"') == 3
    assert re.findall(r'<li data-depth="(\d)">', html) == ["0", "1", "2", "1", "0"]
    assert html.count("receipts: handled") == 5
    assert "f-1" not in html


def test_page_of_an_event_leads_to_what_came_of_it(staff: Client, store: EventStore, notes: list[flow.Note]) -> None:
    first, second, _, fourth, *_, other = a_flow(store)
    notes += [flow.Note(text="receipts: handled")]
    html = page(staff, f"{EVENTS}{first.position}/change/")
    effects = re.findall(rf'<li><a href="{EVENTS}(\d+)/change/">', html)
    assert effects == [str(second.position), str(fourth.position)]
    assert f'href="{FLOW}?correlation_id=c"' in html
    assert "receipts: handled" in html
    assert "No event that you may read names it as its cause." in page(staff, f"{EVENTS}{other.position}/change/")


def test_event_that_begins_a_flow_is_its_first(staff: Client, store: EventStore) -> None:
    """What it caused has its id as the correlation id; the event itself has none."""
    (first,) = store.dispatch(new("a-1", "Began"))
    assert "What came of it" not in page(staff, f"{EVENTS}{first.position}/change/")
    name = str(first.event_id)
    store.dispatch(new("b-1", metadata={"correlation_id": name, "causation_id": name}))
    assert f'href="{FLOW}?correlation_id={name}"' in page(staff, f"{EVENTS}{first.position}/change/")
    assert [step.event.aggregate_id for step in steps_of(name)] == ["a-1", "b-1"]


def test_long_flow_has_pages(staff: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PAGE_EVENTS", 2)
    events = a_flow(store)
    html = page(staff, FLOW, correlation_id="c")
    assert html.count("data-depth=") == 2
    assert f"?correlation_id=c&amp;after={events[1].position}" in html
    later = page(staff, FLOW, correlation_id="c", after=str(events[3].position))
    assert re.findall(r"(\w-1), version", later) == ["e-1", "e-1", "e-1"]
    assert "To its first events" in later
    assert "Further events" not in later


@pytest.mark.parametrize("asked", [{}, {"correlation_id": ""}, {"correlation_id": "unknown"}, {"correlation_id": "\0"}])
def test_unknown_flow_is_not_found(staff: Client, store: EventStore, asked: dict[str, str]) -> None:
    a_flow(store)
    assert staff.get(FLOW, asked).status_code == 404


def test_strange_texts_are_shown(staff: Client, store: EventStore) -> None:
    a_flow(store, "<flow> & 'x' \u202e")
    html = page(staff, FLOW, correlation_id="<flow> & 'x' \u202e", after="²")
    assert html.count("data-depth=") == 5
    assert "\u202e" not in html
    assert "<flow>" not in html


def test_users_see_events_of_their_categories(
    store: EventStore, make_user: Callable[..., User], category_permissions: None
) -> None:
    store.dispatch(new("order-1", metadata={"correlation_id": "c"}), new("cart-1", metadata={"correlation_id": "c"}))
    client = Client()
    client.force_login(make_user("events.view_event:cart", is_staff=True))
    html = page(client, FLOW, correlation_id="c")
    assert "cart-1" in html
    assert "order-1" not in html
    client.force_login(make_user(is_staff=True))
    assert client.get(FLOW, {"correlation_id": "c"}).status_code == 403
    client.logout()
    assert client.get(FLOW, {"correlation_id": "c"}).status_code == 302
