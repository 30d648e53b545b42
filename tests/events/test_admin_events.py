"""The admin's list of events, the page of one, and what a history tells of each."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from events.admin import search, timeline
from events.models import Event
from events.store import EventStore
from tests.events.support import (
    ADD,
    EVENTS,
    PERMISSIONS,
    form_of,
    history_url,
    link_on,
    page,
    positions_on,
    versions_on,
)
from tests.support import last_position, new, some, store_in_the_past

pytestmark = pytest.mark.django_db


@pytest.fixture
def user(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user(*PERMISSIONS, is_staff=True))
    return client


def test_list_is_paged_by_position(user: Client, store: EventStore) -> None:
    events = store.dispatch(*some(30, "a-1"), *some(90, "b-1"))
    newest_first = [event.position for event in reversed(events)]
    first = page(user, EVENTS)
    assert positions_on(first) == newest_first[:50]
    assert not link_on(first, "Newer")
    assert "120 events" in first
    second = page(user, EVENTS + link_on(first, "Older"))
    third = page(user, EVENTS + link_on(second, "Older"))
    assert positions_on(second) + positions_on(third) == newest_first[50:]
    assert not link_on(third, "Older")
    store.dispatch(new("c-1"))  # does not move the others
    back = page(user, EVENTS + link_on(third, "Newer"))
    assert positions_on(back) == positions_on(second)
    assert positions_on(page(user, EVENTS + link_on(back, "Older"))) == positions_on(third)
    newest = page(user, EVENTS + link_on(page(user, EVENTS + link_on(back, "Newer")), "Newer"))
    assert len(positions_on(newest)) == 1
    assert not link_on(newest, "Newer")
    assert positions_on(page(user, EVENTS + link_on(third, "Newest"))) == positions_on(page(user, EVENTS))


def test_what_narrows_the_list_goes_along_and_begins_at_its_newest(user: Client, store: EventStore) -> None:
    newest_first = [event.position for event in reversed(store.dispatch(*some(20, "a-1"), *some(90, "b-1")))]
    narrow = page(user, EVENTS, category="b", before=newest_first[10])
    assert positions_on(narrow) == newest_first[11:61]
    assert "category=b" in link_on(narrow, "Older")
    assert "before" not in link_on(narrow, "Newest") + link_on(narrow, "Happened") + link_on(narrow, "Today")
    assert 'name="before"' not in narrow
    assert '<input type="hidden" name="category" value="b">' in narrow
    for nonsense in ("x", "-1", "9" * 40):
        assert page(user, EVENTS, before=nonsense, after="")


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
    user: Client, store: EventStore, parameters: dict[str, str], found: set[int], settings: Any
) -> None:
    settings.TIME_ZONE = "America/New_York"
    events = store.dispatch(
        new("order-1", "Placed", metadata={"correlation_id": "c-1"}),
        new("order-1", "Changed", data={"sku": "MUG-1"}),
        new("cart-1", "Placed", metadata={"correlation_id": "c-1"}),
        new("order-2", "Paid", data={"sku": "mug-1"}),
    )
    html = page(user, EVENTS, **parameters)
    numbers = {event.position: number for number, event in enumerate(events, 1)}
    assert {numbers[position] for position in positions_on(html)} == found
    assert ("No event matches" in html) is not bool(found)
    assert ("is not a date and time" in html) is ("yesterday" in parameters.values())


def test_filter_by_time_allows_for_a_clock_that_was_set_back(user: Client) -> None:
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    minutes = (-90, 0, -20, -15, -12, 10)
    store_in_the_past(*[(f"a-{n}", "Happened", noon + timedelta(minutes=each)) for n, each in enumerate(minutes)])
    positions = list(Event.objects.order_by("position").values_list("position", flat=True))
    html = page(user, EVENTS, recorded_from="2026-03-01T11:50")
    assert positions_on(html) == [positions[5], positions[1]]
    html = page(user, EVENTS, recorded_before="2026-03-01T11:50")
    assert positions_on(html) == [positions[n] for n in (4, 3, 2, 0)]


def test_what_is_no_id_can_be_searched_for_in_the_data(user: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new(data={"sku": "MUG-1"}))
    html = page(user, EVENTS, q="MUG")
    assert positions_on(html) == []
    assert positions_on(page(user, EVENTS + link_on(html, "Search for it in the data"))) == [event.position]


def test_search_that_ran_out_of_time_says_how_far_it_came(
    user: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(*some(80))
    monkeypatch.setattr(search, "SEARCH_SECONDS", 0)
    html = page(user, EVENTS, q="absent", **{"in": "data"})
    reached = last_position() + 1 - search.FIRST_BATCH_POSITIONS
    assert f"Nothing found up to position {reached}; the search is not complete." in html
    monkeypatch.undo()
    assert "No event matches" in page(user, EVENTS + link_on(html, "Search further"))


def test_history_shows_who_what_changed_and_what_belongs_to_it(user: Client, store: EventStore) -> None:
    (cause,) = store.dispatch(new("cart-1", "CheckedOut"))
    metadata = {"causation_id": str(cause.event_id), "correlation_id": "flow <1>", "actor": "customer-7"}
    store.dispatch(
        new("order-1", "Placed", data={"status": "new", "lines": [{"sku": "A", "n": 1}], "note": "<b>"}),
        new(
            "order-1",
            "Changed",
            data={"status": "paid", "lines": [{"sku": "A", "n": True}, {"sku": "B"}], "total": 5},
            metadata=metadata,
        ),
    )
    html = page(user, history_url("order-1"))
    assert "customer-7" in html
    assert "CheckedOut of cart-1</a>" in html
    assert "?correlation_id=flow+%3C1%3E" in html
    for part in (
        '<del><span class="json-string">new</span></del> <ins><span class="json-string">paid</span></ins>',
        '<del><span class="json-other">1</span></del> <ins><span class="json-other">true</span></ins>',
        '<span class="json-key">total</span>: <ins><span class="json-other">5</span></ins>',
        '<del><span class="json-key">note</span>: <span class="json-string">&lt;b&gt;</span></del>',
        '<span class="json-key">sku</span>: <span class="json-string">A</span>',
    ):
        assert part in html
    past = page(user, history_url("order-1"), up_to_version=1)
    assert "You see order-1 as of version 1; it is at 2 now." in past
    assert versions_on(past) == [1]
    assert "<ins>" not in past


def test_change_is_told_across_the_pages_of_a_history(user: Client, store: EventStore) -> None:
    store.dispatch(*some(51))
    html = page(user, history_url("a-1"))
    assert versions_on(html)[-1] == 2
    assert html.count("<del>") == 50


def test_cause_that_may_not_be_read_is_not_told(
    store: EventStore, make_user: Callable[..., User], category_permissions: None
) -> None:
    (cause,) = store.dispatch(new("cart-1", "Secret", metadata={"correlation_id": "c"}))
    metadata = {"causation_id": str(cause.event_id), "correlation_id": "c"}
    (event, _) = store.dispatch(new("order-1", metadata=metadata), new("order-1", metadata=metadata))
    client = Client()
    client.force_login(make_user("events.view_event:order", is_staff=True))
    for url in (history_url("order-1"), f"{EVENTS}{event.position}/change/", f"{EVENTS}?correlation_id=c"):
        html = page(client, url)
        assert "Happened" in html
        assert "Secret" not in html
    assert client.get(f"{EVENTS}{cause.position}/change/").status_code == 302


def test_event_page_shows_what_it_follows_and_what_belongs_to_it(user: Client, store: EventStore) -> None:
    _, second, _, other = store.dispatch(
        new("order-1", "Placed", data={"n": 1}, metadata={"correlation_id": "c"}),
        new("order-1", "Paid", data={"n": 2}, metadata={"correlation_id": "c"}),
        new("order-1", "Shipped", metadata={"correlation_id": "c"}),
        new("cart-1", "Closed"),
    )
    html = page(user, f"{EVENTS}{second.position}/change/")
    assert "&larr; 1 Placed" in html
    assert "3 Shipped &rarr;" in html
    assert "<del>" in html
    assert re.findall(r'data-depth="(\d)"', html) == ["0", "0", "0"]
    assert history_url("order-1") in html
    assert "Related events" not in page(user, f"{EVENTS}{other.position}/change/")


def test_trail_shows_what_led_to_what(store: EventStore) -> None:
    flow = {"correlation_id": "c"}
    (first,) = store.dispatch(new("a-1", metadata=flow))
    (second,) = store.dispatch(new("b-1", metadata=flow | {"causation_id": str(first.event_id)}))
    store.dispatch(
        new("c-1", metadata=flow | {"causation_id": str(second.event_id)}),
        new("d-1", metadata=flow | {"causation_id": str(first.event_id)}),
        new("e-1", metadata=flow | {"causation_id": "unknown"}),
        new("f-1", metadata={"correlation_id": "other"}),
    )
    steps = timeline.trail(first, None, 10)
    assert [step.event.aggregate_id for step in steps] == ["a-1", "b-1", "c-1", "d-1", "e-1"]
    assert [step.depth for step in steps] == [0, 1, 2, 1, 0]
    assert len(timeline.trail(first, None, 3)) == 3
    assert [step.event.aggregate_id for step in timeline.trail(first, {"b"}, 3)] == ["b-1"]


@pytest.mark.parametrize(
    "metadata", [{"correlation_id": {"a": 1}, "causation_id": [1]}, {"actor": {"id": 5}, "user": 7}, {"actor": None}]
)
def test_metadata_of_any_shape_is_shown(user: Client, store: EventStore, metadata: dict[str, Any]) -> None:
    (event,) = store.dispatch(new(metadata=metadata))
    for url in (history_url("a-1"), f"{EVENTS}{event.position}/change/"):
        html = page(user, url)
        assert ("event-who" in html or "by <strong>7" in html) is ("user" in metadata)


def test_large_data_is_cut_in_the_history_and_whole_on_its_page(user: Client, store: EventStore) -> None:
    data = {"list": list(range(5000)), "text": "x" * 2000, "last": "end of it"}
    (event,) = store.dispatch(new(data=data), new("b-1", data={"text": data["text"]}))[:1]
    html = page(user, history_url("a-1"))
    assert re.search(r"47\d\d more", html)
    assert len(html) < 100_000
    assert "1,400 more characters" in page(user, history_url("b-1"))
    html = page(user, f"{EVENTS}{event.position}/change/")
    assert "x" * 2000 in html
    assert "\n    4999\n" in html


def test_deep_data_is_shown(user: Client, store: EventStore) -> None:
    def nested(value: Any) -> Any:
        for _ in range(250):
            value = [value]
        return value

    store.dispatch(new(data={"x": nested(1)}), new(data={"x": nested(2)}))
    assert versions_on(page(user, history_url("a-1"))) == [2, 1]


def test_suggestions_tell_ids_and_the_version(
    user: Client, store: EventStore, make_user: Callable[..., User], category_permissions: None
) -> None:
    url = f"{ADD}suggestions/"
    store.dispatch(*some(3, "order-1"), *[new(f"order-1{n:02}") for n in range(15)], new("cart-1"))
    assert user.get(url, {"aggregate_id": "order-1"}).json() == {
        "aggregate_id": "order-1",
        "version": 3,
        "aggregates": ["order-1", *[f"order-1{n:02}" for n in range(9)]],
    }
    assert user.get(url).json() == {"aggregate_id": "", "version": 0, "aggregates": []}
    assert user.get(url, {"aggregate_id": "a\0"}).status_code == 200
    client = Client()
    client.force_login(make_user("events.add_event:order", is_staff=True))
    assert client.get(url, {"aggregate_id": "order-1"}).json() == {
        "aggregate_id": "order-1",
        "version": 3,
        "aggregates": [],  # who may not read is told of no id
    }
    client.force_login(make_user("events.add_event:order", "events.view_event", is_staff=True))
    assert len(client.get(url, {"aggregate_id": "order-1"}).json()["aggregates"]) == 10
    assert client.get(url, {"aggregate_id": "cart-1"}).json()["version"] == 0
    assert client.get(url, {"aggregate_id": "cart"}).json()["aggregates"] == []
    client.force_login(make_user("events.view_event", is_staff=True))
    assert client.get(url, {"aggregate_id": "cart"}).status_code == 403


def test_form_says_who_appends_and_each_append_is_logged_once(user: Client, store: EventStore) -> None:
    form = form_of(user, "order-1")
    assert '"actor": "user0"' in form["metadata"]
    assert user.post(ADD, form).status_code == user.post(ADD, form).status_code == 302
    assert LogEntry.objects.count() == 1
    assert store.get_events_for_aggregate("order-1")[0].metadata == {"actor": "user0"}


def test_long_conflict_shows_the_newest_of_what_came_in_between(user: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"))
    form = form_of(user, "order-1")
    store.dispatch(*some(30, "order-1"))
    html = user.post(ADD, form).content.decode()
    assert versions_on(html) == list(range(31, 11, -1))
    assert "The newest 20; 10 more are in" in html
