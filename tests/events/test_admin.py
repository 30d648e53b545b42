"""The admin as its users see it: lists, an aggregate's timeline, the form that appends."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.admin.utils import quote as admin_quote
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.admin.browsing import BoundedPaginator
from events.models import Event
from events.store import EventStore
from events.types import EARLIEST, LATEST
from tests.events.support import ADD, EVENTS, PERMISSIONS, form_of, history_url, page, versions_on
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(make_user: Callable[..., User]) -> Client:
    client = Client()
    client.force_login(make_user(*PERMISSIONS, is_staff=True))
    return client


def test_lists_show_events_and_aggregates(browser: Client, store: EventStore) -> None:
    store.dispatch(new("order-1", "Placed", data={"total": 5}), new("user-1", "Born", data={"text": "<b>" * 50}))
    html = page(browser, EVENTS)
    assert all(text in html for text in ("order-1", "Placed", "&quot;total&quot;: 5", "user-1", "&lt;b&gt;"))
    assert "<b><b>" not in html
    assert "order-1" in page(browser, "/admin/events/aggregate/")


def test_lists_filter_and_search(browser: Client, store: EventStore) -> None:
    first, *_ = store.dispatch(new("order-1", "Placed"), new("order-2", "Paid"), new("user-1", "Born"), new("orderly"))

    def found(url: str, **parameters: str) -> set[str]:
        rows = page(browser, url, **parameters).partition('id="result_list"')[2].partition("</table>")[0]
        return set(re.findall(r">([a-z]+(?:-\d)?)</a>", rows))

    events, aggregate_list = EVENTS, "/admin/events/aggregate/"
    assert found(events, type="Placed") == {"order-1"}
    assert found(events, category="order") == found(aggregate_list, category="order") == {"order-1", "order-2"}
    assert found(events, q="order-") == found(aggregate_list, q=" order- ") == {"order-1", "order-2"}
    assert found(events, q=str(first.event_id)) == {"order-1"}
    assert found(events, q="rder") == set()
    for offered in ("type=Born", "category=orderly", "category=user"):
        assert f"?{offered}" in page(browser, events)


def test_event_page_shows_readable_json(browser: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new(data={"lines": [{"sku": "é-7"}]}, metadata={"by": "me"}))
    html = page(browser, f"/admin/events/event/{event.position}/change/")
    assert "  &quot;lines&quot;: [\n    {\n      &quot;sku&quot;: &quot;é-7&quot;" in html
    assert '<span class="json-string">é-7</span>' in html
    assert str(event.event_id) in html


@pytest.mark.parametrize("aggregate_id", ["order-1", "a/b?c=d&e#f", "100% _2F é 😀", '"><script>'])
def test_history_is_a_timeline_newest_first(browser: Client, store: EventStore, aggregate_id: str) -> None:
    store.dispatch(*some(3, aggregate_id))
    html = page(browser, history_url(aggregate_id))
    assert versions_on(html) == [3, 2, 1]
    assert "<script>&" not in html
    assert history_url(aggregate_id) in page(browser, EVENTS).replace("&amp;", "&")
    assert form_of(browser, aggregate_id)["expected_version"] == "3"


def test_event_without_data_has_a_page(browser: Client, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    assert '<pre class="event-json">{}</pre>' in page(browser, f"/admin/events/event/{event.position}/change/")


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo"])
def test_moments_at_the_ends_of_time_are_shown(browser: Client, store: EventStore, settings: Any, zone: str) -> None:
    settings.TIME_ZONE = zone
    events = store.dispatch(new(timestamp=EARLIEST), new(timestamp=LATEST))
    for url in (EVENTS, history_url("a-1"), f"/admin/events/event/{events[0].position}/change/"):
        page(browser, url)


def test_long_history_comes_in_pages(browser: Client, store: EventStore) -> None:
    store.dispatch(*some(120))
    url = history_url("a-1")
    seen: list[int] = []
    older: str | None = ""
    while older is not None:
        html = page(browser, url + older)
        seen += versions_on(html)
        match = re.search(r'href="(\?up_to_version=\d+)">&darr;', html)
        older = match[1] if match else None
    assert seen == list(range(120, 0, -1))
    assert versions_on(page(browser, url, up_to_version="70"))[0] == 70
    for nonsense in ("nonsense", "9" * 30):
        assert versions_on(page(browser, url, up_to_version=nonsense))[0] == 120
    for nonsense in ("-5", "0"):
        assert versions_on(page(browser, url, up_to_version=nonsense)) == [1]


def test_form_appends_an_event_and_logs_it(browser: Client, store: EventStore) -> None:
    form = form_of(browser, "order-1") | {
        "data": '{"total": 12345678901234567890}',
        "metadata": '{"correlation_id": "x"}',
        "timestamp_0": "2020-01-31",
        "timestamp_1": "12:30:00",
    }
    html = page(browser, ADD, aggregate_id="order-1")
    assert "The event will be the first of a new aggregate" in html
    response = browser.post(ADD, form)
    assert (response.status_code, response["Location"]) == (302, history_url("order-1"))
    (event,) = store.get_events_for_aggregate("order-1")
    assert (event.type, event.data) == ("Happened", {"total": 12345678901234567890})
    assert event.metadata == {"correlation_id": "x"}
    assert event.timestamp.isoformat() == "2020-01-31T12:30:00+00:00"
    assert LogEntry.objects.get().object_id == str(event.position)


def test_form_sent_twice_stores_once(browser: Client) -> None:
    form = form_of(browser, "order-1")
    assert browser.post(ADD, form).status_code == browser.post(ADD, form).status_code == 302
    assert stored() == [("order-1", 1)]


def test_concurrent_change_is_reported_and_then_decided_by_the_user(browser: Client, store: EventStore) -> None:
    store.dispatch(new("order-1", "Placed"))
    form = form_of(browser, "order-1")
    store.dispatch(new("order-1", "Cancelled"), new("order-1", "Refunded"))
    response = browser.post(ADD, form)
    html = response.content.decode()
    assert "was at version 1 when you opened this form, and is at 3 now" in html
    assert versions_on(html) == [3, 2]
    assert "Refunded</a>" in html
    assert 'value="Append after version 3"' in html
    assert "Placed</a>" not in html
    assert aggregates() == {"order-1": 3}
    again = form | {"expected_version": response.context["form"]["expected_version"].value()}
    assert browser.post(ADD, again).status_code == 302
    assert [event.type for event in store.get_events_for_aggregate("order-1", after_version=3)] == ["Happened"]


@pytest.mark.parametrize("opened_before", [False, True])
def test_who_may_only_append_is_told_of_the_conflict_but_not_of_the_events(
    store: EventStore, make_user: Callable[..., User], opened_before: bool
) -> None:
    client = Client()
    client.force_login(make_user("events.add_event", is_staff=True))
    if opened_before:
        store.dispatch(new("order-1", "Secret"))
    form = form_of(client, "order-1")
    store.dispatch(new("order-1", "Secret"))
    html = client.post(ADD, form).content.decode()
    said = html.partition("errornote")[2].partition("</p>")[0]
    assert f"at {'2 now' if opened_before else 'version 1'}." in said
    assert "Press Append again" in said
    assert "Secret" not in html


@pytest.mark.parametrize(
    "url",
    [
        "/admin/events/event/?type=%00",
        "/admin/events/event/?category=a%00b&q=%00",
        "/admin/events/aggregate/?category=%00",
        "/admin/events/aggregate/a%00b/change/",
        "/admin/events/aggregate/a%00b/history/",
        "/admin/events/event/a%00b/change/",
        "/admin/events/event/add/?aggregate_id=a%00b",
    ],
)
def test_nul_characters_do_no_harm(browser: Client, url: str) -> None:
    assert browser.get(url, follow=True).status_code in (200, 400)


def test_expectation_beyond_the_aggregate_is_explained(browser: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"))
    html = browser.post(ADD, form_of(browser, "order-1") | {"expected_version": "9"}).content.decode()
    assert "was expected at version 9 but is at version 1. Press Append again" in html


def test_new_aggregate_that_exists_is_reported(browser: Client, store: EventStore) -> None:
    form = form_of(browser) | {"aggregate_id": "order-1"}
    store.dispatch(new("order-1", "Placed"))
    html = browser.post(ADD, form).content.decode()
    assert "order-1 already exists, at version 1." in html
    assert versions_on(html) == [1]
    assert aggregates() == {"order-1": 1}


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ({"data": '{"a": ' + "[" * 50_000}, "This is not valid JSON"),
        ({"data": '{"a": ' + "9" * 5000 + "}"}, "This is not valid JSON"),
        ({"expected_version": "9" * 30}, "Expected version: Ensure this value is less"),
        ({"event_id": "x"}, "Event id: Enter a valid UUID"),
        ({"data": '{"a": 1,\n "b" 2}'}, "Expecting &#x27;:&#x27; delimiter at line 2, column 6"),
        ({"data": "[1]"}, "it must be a JSON object"),
        ({"data": '{"a": {"b": NaN}}'}, "NaN is not a JSON number"),
        ({"data": '{"a": 1, "b": {"c": 2, "c": 3}}'}, "&#x27;c&#x27; occurs twice in one object"),
        ({"metadata": "5"}, "it must be a JSON object"),
        ({"type": ""}, "This field is required"),
        ({"aggregate_id": "a\tb"}, "control character"),
        ({"aggregate_id": "x" * 256}, "at most 255 characters"),
        ({"timestamp_0": "x", "timestamp_1": "y"}, "Enter a valid date"),
    ],
)
def test_bad_input_is_explained_and_kept(browser: Client, fault: dict[str, str], message: str) -> None:
    response = browser.post(ADD, form_of(browser, "order-1") | fault)
    html = response.content.decode()
    assert response.status_code == 200
    assert message in html
    assert 'value="order-1"' in html or "aggregate_id" in fault
    assert stored() == []


def test_nothing_can_be_changed_or_deleted(browser: Client, store: EventStore, make_user: Callable[..., User]) -> None:
    (event,) = store.dispatch(new())
    browser.force_login(make_user(is_staff=True, is_superuser=True))
    before = Event.objects.values().get()
    for url in (f"/admin/events/event/{event.position}", f"/admin/events/aggregate/{admin_quote('a-1')}"):
        assert browser.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
        browser.post(f"{url}/change/", {"type": "x", "version": 7})
    browser.post(EVENTS, {"action": "delete_selected", "_selected_action": event.position})
    assert Event.objects.values().get() == before


@pytest.mark.parametrize(
    ("permission", "url"),
    [
        ("events.view_event", EVENTS),
        ("events.view_aggregate", "/admin/events/aggregate/"),
        ("events.add_event", ADD),
        ("projections.view_aggregateactivity", "/admin/projections/aggregateactivity/"),
    ],
)
def test_each_page_takes_its_permission(
    store: EventStore, make_user: Callable[..., User], permission: str, url: str
) -> None:
    store.dispatch(new())
    client = Client()
    client.force_login(make_user(*(set(PERMISSIONS) - {permission}), is_staff=True))
    assert client.get(url).status_code == 403
    client.force_login(make_user(permission, is_staff=True))
    assert client.get(url).status_code == 200


def test_history_takes_the_permission_to_view_events_too(store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(new())
    client = Client()
    client.force_login(make_user("events.view_aggregate", is_staff=True))
    assert client.get(history_url("a-1")).status_code == 403


def test_conflict_of_a_handler_is_not_taken_for_the_forms_own(browser: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"), new("stock-1"), new("stock-1"))
    store.subscribe("Happened", lambda event, **kwargs: store.dispatch(new("stock-1"), expected_version=0))
    response = browser.post(ADD, form_of(browser, "order-1"))
    assert "&#x27;stock-1&#x27; was expected at version 0" in response.content.decode()
    assert response.context["form"]["expected_version"].value() == "1"


def test_append_button_shows_to_those_who_may(store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(new())
    client = Client()
    for permissions, shown in ((PERMISSIONS, True), (["events.view_aggregate", "events.view_event"], False)):
        client.force_login(make_user(*permissions, is_staff=True))
        assert (">Append an event<" in page(client, history_url("a-1"))) is shown


def test_unknown_aggregate_goes_back_with_a_message(browser: Client) -> None:
    assert "There is no aggregate &#x27;nobody&#x27;" in page(browser, history_url("nobody"))


def test_lists_never_count_to_the_end(browser: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "max_rows", 100)
    store.dispatch(*[new(f"a-{n}") for n in range(150)])
    with CaptureQueriesContext(connection) as queries:
        html = page(browser, "/admin/events/aggregate/")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "events_" in query["sql"]]
    assert counts
    assert all("LIMIT 101" in count for count in counts)
    assert "the first 100 of more aggregates" in html
    assert "2</a>" in html


def test_read_model_is_listed(browser: Client, store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(*some(3))
    browser.force_login(make_user("projections.view_aggregateactivity", is_staff=True))
    html = page(browser, "/admin/projections/aggregateactivity/")
    assert 'field-event_count">3<' in html
