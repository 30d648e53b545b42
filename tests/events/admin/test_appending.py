"""The form that appends: it repeats safely, reports conflicts, and explains what is wrong."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client

from events.exceptions import Rejected
from events.store import EventStore
from tests.events.support import ADD, PERMISSIONS, form_of, history_url, page, versions_on
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db


def test_form_appends_an_event_and_logs_it(staff: Client, store: EventStore) -> None:
    form = form_of(staff, "order-1") | {
        "data": '{"total": 12345678901234567890}',
        "metadata": '{"correlation_id": "x"}',
        "timestamp_0": "2020-01-31",
        "timestamp_1": "12:30:00",
    }
    html = page(staff, ADD, aggregate_id="order-1")
    assert "The event will be the first of a new aggregate, order-1." in html
    assert "An event cannot be changed or taken back." in html
    response = staff.post(ADD, form)
    assert (response.status_code, response["Location"]) == (302, history_url("order-1"))
    (event,) = store.get_events_for_aggregate("order-1")
    assert (event.type, event.data) == ("Happened", {"total": 12345678901234567890})
    assert event.metadata == {"correlation_id": "x"}
    assert event.timestamp.isoformat() == "2020-01-31T12:30:00+00:00"
    assert LogEntry.objects.get().object_id == str(event.position)


def test_form_sent_twice_stores_once(staff: Client) -> None:
    form = form_of(staff, "order-1")
    assert staff.post(ADD, form).status_code == staff.post(ADD, form).status_code == 302
    assert stored() == [("order-1", 1)]


def test_concurrent_change_is_reported_and_then_decided_by_the_user(staff: Client, store: EventStore) -> None:
    store.dispatch(new("order-1", "Placed"))
    form = form_of(staff, "order-1")
    store.dispatch(new("order-1", "Cancelled"), new("order-1", "Refunded"))
    response = staff.post(ADD, form)
    html = response.content.decode()
    assert "was at version 1 when you opened this form, and is now at 3" in html
    assert versions_on(html) == [3, 2]
    assert "Refunded</a>" in html
    assert 'value="Append after version 3"' in html
    assert "Placed</a>" not in html
    assert aggregates() == {"order-1": 3}
    again = form | {"expected_version": response.context["form"]["expected_version"].value()}
    assert staff.post(ADD, again).status_code == 302
    assert [event.type for event in store.get_events_for_aggregate("order-1", after_version=3)] == ["Happened"]


@pytest.mark.parametrize("opened_before", [False, True])
def test_users_who_may_only_append_see_the_conflict_but_not_the_events(
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
    assert ("is now at 2." if opened_before else "at version 1.") in said
    assert "Press Append again" in said
    assert "Secret" not in html


def test_expectation_beyond_the_aggregate_is_explained(staff: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"))
    html = staff.post(ADD, form_of(staff, "order-1") | {"expected_version": "9"}).content.decode()
    assert "was expected at version 9 but is at version 1. Press Append again" in html


def test_new_aggregate_that_exists_is_reported(staff: Client, store: EventStore) -> None:
    form = form_of(staff) | {"aggregate_id": "order-1"}
    store.dispatch(new("order-1", "Placed"))
    html = staff.post(ADD, form).content.decode()
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
def test_bad_input_is_explained_and_kept(staff: Client, fault: dict[str, str], message: str) -> None:
    response = staff.post(ADD, form_of(staff, "order-1") | fault)
    html = response.content.decode()
    assert response.status_code == 200
    assert message in html
    assert 'value="order-1"' in html or "aggregate_id" in fault
    assert stored() == []


def test_error_of_a_handler_is_not_taken_for_the_forms_own(staff: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"), new("stock-1"), new("stock-1"))
    store.subscribe("Happened", lambda event, **kwargs: store.dispatch(new("stock-1"), expected_version=0))
    staff.raise_request_exception = False
    response = staff.post(ADD, form_of(staff, "order-1"))
    assert response.status_code == 500
    assert "stock-1" not in response.content.decode()


def test_handler_rejects_with_a_message(staff: Client, store: EventStore) -> None:
    reasons = iter(["none left", "None is left."])

    def reject(**kwargs: Any) -> None:
        raise Rejected(next(reasons))

    store.subscribe("Happened", reject)
    for reason in ("none left.<", "None is left.<"):
        html = staff.post(ADD, form_of(staff, "order-1")).content.decode()
        assert f"Nothing was stored: {reason}" in html
    assert stored() == []


def test_id_in_use_names_its_aggregate_only_to_users_who_may_read_it(
    store: EventStore, make_user: Callable[..., User]
) -> None:
    (secret,) = store.dispatch(new("secret-1"))
    client = Client()
    for permissions, named in (
        (PERMISSIONS, True),
        (["events.view_event", "events.add_event"], True),
        (["events.add_event"], False),
    ):
        client.force_login(make_user(*permissions, is_staff=True))
        form = form_of(client, "order-1") | {"event_id": str(secret.event_id)}
        html = client.post(ADD, form).content.decode()
        assert "is already in use" in html
        assert ("secret-1" in html) is named


def test_append_button_shows_for_users_who_may_append(store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(new())
    client = Client()
    for permissions, shown in ((PERMISSIONS, True), (["events.view_aggregate", "events.view_event"], False)):
        client.force_login(make_user(*permissions, is_staff=True))
        assert (">Append an event<" in page(client, history_url("a-1"))) is shown


def test_form_names_the_actor_and_each_append_is_logged_once(staff: Client, store: EventStore) -> None:
    form = form_of(staff, "order-1")
    assert '"actor": "user0"' in form["metadata"]
    assert staff.post(ADD, form).status_code == staff.post(ADD, form).status_code == 302
    assert LogEntry.objects.count() == 1
    assert store.get_events_for_aggregate("order-1")[0].metadata == {"actor": "user0"}


def test_long_conflict_shows_the_newest_of_what_came_in_between(staff: Client, store: EventStore) -> None:
    store.dispatch(new("order-1"))
    form = form_of(staff, "order-1")
    store.dispatch(*some(30, "order-1"))
    html = staff.post(ADD, form).content.decode()
    assert versions_on(html) == list(range(31, 11, -1))
    assert "These are the newest 20; 10 more are in" in html


def test_form_without_javascript_says_that_the_typed_aggregate_exists(staff: Client, store: EventStore) -> None:
    store.dispatch(*some(3, "order-1"))
    sent = form_of(staff, "") | {"aggregate_id": "order-1", "type": "Paid", "data": "{"}
    html = staff.post(ADD, sent).content.decode()
    assert "order-1 already exists, at version 3. The next step shows its events." in html
    assert "first of a new aggregate" not in html
    for fault in ({"aggregate_id": "a\0"}, {"expected_version": "9" * 5000}):
        assert staff.post(ADD, sent | fault).status_code == 200
