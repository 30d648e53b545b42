"""The admin's list of events, the page of one, and what a history tells of each."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from events.admin import timeline
from events.store import EventStore
from events.types import EARLIEST, LATEST
from tests.events.support import EVENTS, form_of, history_url, page, versions_on
from tests.support import new, some

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("aggregate_id", ["order-1", "a/b?c=d&e#f", "100% _2F é 😀", '"><script>'])
def test_history_is_a_timeline_newest_first(staff: Client, store: EventStore, aggregate_id: str) -> None:
    store.dispatch(*some(3, aggregate_id))
    html = page(staff, history_url(aggregate_id))
    assert versions_on(html) == [3, 2, 1]
    assert "<script>&" not in html
    assert history_url(aggregate_id) in page(staff, EVENTS).replace("&amp;", "&")
    assert form_of(staff, aggregate_id)["expected_version"] == "3"


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_moments_at_the_ends_of_time_are_shown(staff: Client, store: EventStore, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    events = store.dispatch(new(timestamp=EARLIEST), new(timestamp=LATEST))
    for url in (EVENTS, history_url("a-1"), f"/admin/events/event/{events[0].position}/change/"):
        page(staff, url)


def test_long_history_comes_in_pages(staff: Client, store: EventStore) -> None:
    store.dispatch(*some(120))
    url = history_url("a-1")
    seen: list[int] = []
    older: str | None = ""
    while older is not None:
        html = page(staff, url + older)
        seen += versions_on(html)
        match = re.search(r'href="(\?up_to_version=\d+)" rel="next"', html)
        older = match[1] if match else None
    assert seen == list(range(120, 0, -1))
    assert versions_on(page(staff, url, up_to_version="70"))[0] == 70
    for nonsense in ("nonsense", "9" * 30):
        assert versions_on(page(staff, url, up_to_version=nonsense))[0] == 120
    for nonsense in ("-5", "0"):
        assert versions_on(page(staff, url, up_to_version=nonsense)) == [1]


def test_history_takes_the_permission_to_view_events_too(store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(new())
    client = Client()
    client.force_login(make_user("events.view_aggregate", is_staff=True))
    assert client.get(history_url("a-1")).status_code == 403


def test_history_shows_the_actor_the_changes_and_related_events(staff: Client, store: EventStore) -> None:
    (cause,) = store.dispatch(new("cart-1", "CheckedOut"))
    metadata = {"causation_id": str(cause.event_id), "correlation_id": "flow <1>", "actor": "customer-7"}
    store.dispatch(
        new("order-1", "Changed", data={"status": "new", "lines": [{"sku": "A", "n": 1}], "note": "<b>"}),
        new(
            "order-1",
            "Changed",
            data={"status": "paid", "lines": [{"sku": "A", "n": True}, {"sku": "B"}], "total": 5},
            metadata=metadata,
        ),
    )
    html = page(staff, history_url("order-1"))
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
    past = page(staff, history_url("order-1"), up_to_version=1)
    assert "You see the aggregate as it was at version 1; it is at 2 now." in past
    assert versions_on(past) == [1]
    assert "<ins>" not in past


def test_change_is_shown_across_the_pages_of_a_history(staff: Client, store: EventStore) -> None:
    store.dispatch(*some(51))
    html = page(staff, history_url("a-1"))
    assert versions_on(html)[-1] == 2
    assert html.count("<del>") == 50


def test_cause_that_the_user_may_not_read_is_hidden(
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


@pytest.mark.parametrize(
    "metadata", [{"correlation_id": {"a": 1}, "causation_id": [1]}, {"actor": {"id": 5}, "user": 7}, {"actor": None}]
)
def test_metadata_of_any_shape_is_shown(staff: Client, store: EventStore, metadata: dict[str, Any]) -> None:
    (event,) = store.dispatch(new(metadata=metadata))
    for url in (history_url("a-1"), f"{EVENTS}{event.position}/change/"):
        html = page(staff, url)
        assert ("event-who" in html or "<dd>7</dd>" in html) is ("user" in metadata)


def test_user_of_the_context_is_shown_beside_a_stated_actor(staff: Client, store: EventStore) -> None:
    for metadata, shown in (
        ({"actor": "boss", "user": "7"}, "boss (user 7)"),
        ({"user": "7"}, "7"),
        ({"actor": "7", "user": "7"}, "7"),
        ({"actor": "boss"}, "boss"),
    ):
        (event,) = store.dispatch(new(metadata=metadata))
        assert f"<dd>{shown}</dd>" in page(staff, f"{EVENTS}{event.position}/change/")


def test_event_is_compared_with_the_last_one_of_its_own_type(staff: Client, store: EventStore) -> None:
    placed = {"amount": 36, "note": "gift"}
    store.dispatch(
        new("order-1", "AddressChanged", data={"street": "Main Street 1"}),
        new("order-1", "Placed", data=placed),
        new("order-1", "Paid", data={"amount": 12}),
        new("order-1", "AddressChanged", data={"street": "Main Street 10"}),
    )
    html = page(staff, history_url("order-1"))
    assert re.findall(r'<del><span class="[a-z-]+">([^<]*)', html) == ["Main Street 1"]
    # Also where the other event is on another page.
    store.dispatch(*[new("order-1", "Counted") for _ in range(60)], new("order-1", "Placed", data={"amount": 40}))
    html = page(staff, history_url("order-1"))
    assert re.findall(r"<del>.*?</del>", html) == [
        '<del><span class="json-other">36</span></del>',
        '<del><span class="json-key">note</span>: <span class="json-string">gift</span></del>',
    ]
    last = store.get_events_for_aggregate("order-1")[-1]
    assert "changes since the last Placed, version 2" in page(staff, f"{EVENTS}{last.position}/change/")


def test_comparison_does_not_read_a_long_history(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "COMPARED_VERSIONS", 10)
    *_, last = store.dispatch(new("a-1", "Rare"), *some(10), new("a-1", "Rare"))
    assert timeline.last_versions(last, {"Rare", "Happened"}) == [11]


def test_correlation_id_is_a_link_and_nothing_stands_three_times(staff: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new("order-1", "Placed", metadata={"correlation_id": "flow-1", "actor": "ann"}))
    html = page(staff, f"{EVENTS}{event.position}/change/").partition("<main")[2]
    assert '?correlation_id=flow-1"><span class="json-string">flow-1</span></a>' in html
    shown = re.sub(r"<[^>]*>", " ", html)
    for text in ("order-1", "flow-1", "ann", str(event.event_id), "Placed"):
        assert shown.count(text) <= 2, text


def test_events_stand_below_the_day_of_the_time_zone(staff: Client, store: EventStore, settings: Any) -> None:
    settings.TIME_ZONE = "Europe/Berlin"
    moments = [datetime(2026, 3, 1, hour, 30, tzinfo=UTC) for hour in (22, 23)]
    store.dispatch(*[new("order-1", timestamp=moment) for moment in moments])
    html = page(staff, history_url("order-1"))
    places = [html.index(text) for text in ("Monday, 2 March 2026", ">00:30:00", "Sunday, 1 March 2026", ">23:30:00")]
    assert places == sorted(places)
