"""The doors of the store, each with typed events: cases 1, 2, 4, 5 and 6 of the domain toolkit."""

import io
import json
from collections.abc import Sequence
from dataclasses import field
from decimal import Decimal
from typing import Annotated, Any

import msgspec
import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from rest_framework.test import APIClient

from events.domain import Aggregate, DomainEvent, Repository, Value, applies, upcasts
from events.exceptions import InvalidEvent
from events.models import Event
from events.monitoring import statistics
from events.store import EventStore
from events.testing import make_event, make_new_event
from events.types import NewEvent
from projections import registry
from projections.base import Projection, handles
from projections.checks import check_projections
from projections.testing import project
from tests.events.domain.test_event_types import V1, store_first_version
from tests.events.support import ADD, form_of

pytestmark = pytest.mark.django_db

V2 = V1 | {"currency": "EUR"}


class Line(Value):
    sku: str
    qty: Annotated[int, msgspec.Meta(ge=1)]


@pytest.fixture
def order_placed(store: EventStore) -> Any:
    """Of two events, the first has the first name and version."""
    store_first_version(store, "order-1")

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        customer: str
        total: str
        currency: str

    @upcasts(OrderPlaced, to=2)
    def with_currency(data: dict[str, Any]) -> dict[str, Any]:
        if data["total"] == "poison":
            raise ZeroDivisionError
        return {**data, "currency": "EUR"}

    store.dispatch(
        NewEvent("order-1", OrderPlaced(customer="bob", total="6", currency="USD")), NewEvent("x-1", "Noted")
    )
    return OrderPlaced


def test_interface_sends_the_newest_form(order_placed: Any, api: APIClient) -> None:
    first = Event.objects.earliest("position")
    for path in ("/api/events/", "/api/aggregates/order-1/events/", "/api/events/?type=OrderPlaced"):
        found = api.get(path).json()["events"][0]
        assert (found["type"], found["data"], found["metadata"]) == ("OrderPlaced", V2, {"$schema": 2}), path
    assert api.get(f"/api/events/{first.event_id}/").json()["data"] == V2
    as_cloudevent = api.get(f"/api/events/{first.event_id}/", HTTP_ACCEPT="application/cloudevents+json").json()
    assert (as_cloudevent["type"], as_cloudevent["data"]) == ("OrderPlaced", V2)


@pytest.mark.parametrize("name", ["OrderPlaced", "OrderSubmitted"])
def test_both_names_select_old_and_new_events_in_order(
    order_placed: Any, api: APIClient, staff: Client, name: str
) -> None:
    found = api.get(f"/api/events/?type={name}").json()["events"]
    assert [each["data"]["customer"] for each in found] == ["ann", "bob"]
    page = staff.get(f"/admin/events/event/?type={name}").content.decode()
    assert page.count("event-summary") == 2
    exported = io.StringIO()
    call_command("export_events", "-", type=[name], stdout=exported)
    assert [json.loads(line)["type"] for line in exported.getvalue().splitlines()] == ["OrderSubmitted", "OrderPlaced"]


@pytest.mark.parametrize("one", ["class", "OrderPlaced", "OrderSubmitted"])
def test_class_and_each_name_mean_the_type_at_each_door(
    order_placed: Any, store: EventStore, one: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    event_type = order_placed if one == "class" else one
    seen: list[Any] = []

    def customer(event: Event, **kwargs: Any) -> None:
        seen.append(event.payload.customer)

    class OfOne(Projection):
        name = "of_one"

        @handles(event_type)
        def handler(self, event: Event) -> None:
            customer(event)

    class OfBatches(Projection):
        name = "of_batches"
        types = event_type if one == "class" else [event_type]

        def project_batch(self, events: Sequence[Event]) -> None:
            seen.extend(event.payload.customer for event in events)

    class Customers(Aggregate, category="order"):
        seen: list[str] = field(default_factory=list)

        @applies(event_type)
        def saw(self, event: Any) -> None:
            self.seen.append(event.customer)

    selections: list[Any] = [[event_type], (event_type,), {event_type}, (event_type, "Unheard")]
    for types in [*selections, event_type] if one == "class" else selections:
        assert [event.payload.customer for event in store.read_all(types=types)] == ["ann", "bob"], types
        assert len(b"".join(store.export(types=types)).splitlines()) == 2, types
    assert [event.payload.customer for event in Event.objects.of_types(event_type)] == ["ann", "bob"]
    assert not Event.objects.of_types("Noted", event_type).exclude(type__in=["Noted", *OfOne().stored_types()]).exists()
    monkeypatch.setattr(registry, "_classes", [OfOne, OfBatches])
    assert check_projections() == []
    assert OfOne().wanted_types() == OfBatches().wanted_types() == ["OrderPlaced"]
    assert Repository(Customers).get("1").seen == ["ann", "bob"]

    new = NewEvent("order-1", order_placed(customer="eve", total="7", currency="USD"))
    with store.subscribe(event_type, customer):
        store.dispatch(new)
    assert not store.unsubscribe(event_type, customer)
    for projection in (OfOne, OfBatches):
        project(projection, make_new_event("order-1", new.data), make_new_event("x-1", "Noted"))
    customer(make_event("order-1", new.data))
    assert seen == ["eve"] * 4


def test_class_that_is_no_event_type_is_rejected_by_filters() -> None:
    with pytest.raises(InvalidEvent, match="dict is not registered"):
        Event.objects.of_types(dict)


def test_pages_show_the_newest_form_and_what_was_stored(order_placed: Any, staff: Client) -> None:
    first = Event.objects.earliest("position")
    for path in (f"/admin/events/event/{first.pk}/", "/admin/events/aggregate/order-1/"):
        page = staff.get(path, follow=True).content.decode()
        assert "OrderPlaced" in page, path
        assert "EUR" in page, path
    page = staff.get("/admin/events/event/").content.decode()
    assert "OrderPlaced" in page
    assert "EUR" not in page, "the list has the beginning of the data as stored"
    page = staff.get(f"/admin/events/event/{first.pk}/change/").content.decode()
    assert "OrderSubmitted, schema version 1" in page
    assert "as it was stored" in page
    second = staff.get(f"/admin/events/event/{Event.objects.get(version=2).pk}/change/").content.decode()
    assert "Stored as" not in second


def test_suggestions_and_statistics_count_a_renamed_type_once(order_placed: Any, staff: Client) -> None:
    page = staff.get("/admin/events/event/").content.decode()
    assert "?type=OrderPlaced" in page
    assert "?type=OrderSubmitted" not in page
    (first, *_) = Event.objects.order_by("position")
    assert statistics.activity([first.recorded_at], None, "default").by_type == [("OrderPlaced", 2), ("Noted", 1)]
    assert statistics.activity([first.recorded_at], None, "default", types=1).by_type == [("OrderPlaced", 2)]


def test_event_that_cannot_be_upcast_is_marked_and_ends_no_page(
    order_placed: Any, api: APIClient, staff: Client, store: EventStore
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(V1, "total", "poison")
        (poison,) = store_first_version(store, "order-1")
    reason = "OrderSubmitted in schema version 1: ZeroDivisionError"
    assert staff.get("/admin/events/event/").status_code == 200
    for path in (f"/admin/events/event/{poison.pk}/", "/admin/events/aggregate/order-1/"):
        response = staff.get(path, follow=True)
        assert response.status_code == 200, path
        assert "ZeroDivisionError" in response.content.decode(), path
    for path in ("/api/events/", "/api/aggregates/order-1/events/", f"/api/events/{poison.event_id}/"):
        response = api.get(path)
        assert response.status_code < 500 or "cannot be read" in response.json()["detail"], path
        assert reason in response.content.decode() or "events" in response.json(), path
    assert b"poison" in b"".join(store.export())
    assert staff.get("/admin/events/event/?format=csv").status_code in (200, 302)


def test_projections_get_the_newest_form_in_each_mode(order_placed: Any) -> None:
    from tests.readmodels.projections import Tally

    assert project(Tally, NewEvent("order-2", order_placed(customer="c", total="1", currency="EUR")))


@pytest.fixture
def placed(store: EventStore) -> Any:
    class Placed(DomainEvent):
        total: Decimal
        lines: list[Line] = field(default_factory=list)

    return Placed


WRONG = {"total": "5", "lines": [{"type": "Line", "sku": "a", "qty": 0}]}
PATH, REASON = "data.lines[0].qty", "expected int ≥ 1"


def test_wrong_payload_is_rejected_at_each_door_with_its_path(
    placed: Any, store: EventStore, api: APIClient, staff: Client, tmp_path: Any
) -> None:
    with pytest.raises(InvalidEvent, match=r"event 0: data.lines\[0\].qty: expected int ≥ 1"):
        store.dispatch(NewEvent("order-1", "Placed", WRONG))
    with pytest.raises(InvalidEvent, match=r"event 0: data.lines\[0\].qty: expected int ≥ 1"):
        store.dispatch(NewEvent("order-1", placed(total=Decimal(5), lines=[Line(sku="a", qty=0)])))
    body = {"events": [{"type": "Placed", "data": WRONG}]}
    response = api.post("/api/aggregates/order-1/events/", body, format="json")
    assert response.status_code == 400
    assert PATH in response.content.decode()
    assert REASON in response.content.decode()
    cloudevent = {
        "specversion": "1.0",
        "id": "1",
        "source": "/s",
        "type": "Placed",
        "subject": "order-1",
        "data": WRONG,
    }
    response = api.post("/api/events/", json.dumps(cloudevent), content_type="application/cloudevents+json")
    assert response.status_code == 400, response.content
    assert REASON in response.content.decode()
    form = form_of(staff, "order-1") | {"type": "Placed", "data": json.dumps(WRONG)}
    page = staff.post(ADD, form).content.decode()
    assert REASON in page
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"aggregate_id": "order-1", "type": "Placed", "data": WRONG}))
    with pytest.raises(CommandError, match=REASON):
        call_command("import_events", str(file))
    assert not Event.objects.exists()


def test_types_that_nobody_registered_can_be_rejected_at_each_door(
    placed: Any, settings: Any, store: EventStore, api: APIClient, staff: Client, tmp_path: Any
) -> None:
    settings.EVENTS_UNKNOWN_TYPES = "reject"
    reason = "is not a registered event type"
    with pytest.raises(InvalidEvent, match=reason):
        store.dispatch(NewEvent("order-1", "Other"))
    response = api.post("/api/aggregates/order-1/events/", {"events": [{"type": "Other", "data": {}}]}, format="json")
    assert response.status_code == 400
    assert reason in response.content.decode()
    form = form_of(staff, "order-1") | {"type": "Other"}
    assert reason in staff.post(ADD, form).content.decode()
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"aggregate_id": "order-1", "type": "Other", "data": {}}))
    with pytest.raises(CommandError, match=reason):
        call_command("import_events", str(file))
    assert not Event.objects.exists()
    store.dispatch(NewEvent("order-1", "Placed", {"total": 5}))
    assert Event.objects.get().data == {"total": "5", "lines": []}


def test_form_of_the_admin_can_be_limited_to_registered_types_or_closed(
    placed: Any, settings: Any, admin_client: Client
) -> None:
    typed = {**form_of(admin_client, "order-1"), "type": "Placed", "data": '{"total": "5"}'}
    other = {**form_of(admin_client, "order-2"), "type": "Other"}
    page = "/admin/events/aggregate/order-1/change/"
    settings.EVENTS_APPEND_OVER_HTTP = "typed"
    assert admin_client.post(ADD, typed).status_code == 302
    assert "Only registered types may be appended" in admin_client.post(ADD, other).content.decode()
    assert ADD in admin_client.get(page).content.decode()
    settings.EVENTS_APPEND_OVER_HTTP = "none"
    assert {admin_client.post(ADD, each).status_code for each in (typed, other)} == {403}
    assert admin_client.get(ADD).status_code == 403
    assert not any(ADD in admin_client.get(each).content.decode() for each in (page, "/admin/events/event/", "/admin/"))
    assert Event.objects.count() == 1
    settings.EVENTS_APPEND_OVER_HTTP = "all"
    assert admin_client.post(ADD, other).status_code == 302


def test_appends_over_http_can_be_limited_to_registered_types_or_closed(
    placed: Any, settings: Any, api: APIClient, store: EventStore
) -> None:
    def statuses() -> list[int]:
        cloudevent = {"specversion": "1.0", "id": "1", "source": "/s", "type": "Other", "subject": "order-1"}
        sent = [
            api.post("/api/aggregates/order-1/events/", {"type": "Placed", "data": {"total": "5"}}, format="json"),
            api.post("/api/aggregates/order-1/events/", {"type": "Other"}, format="json"),
            api.post("/api/events/", {"events": [{"aggregate_id": "order-1", "type": "Other"}]}, format="json"),
            api.post("/api/events/", json.dumps(cloudevent), content_type="application/cloudevents+json"),
            api.post(
                "/api/events/import/", b'{"aggregate_id": "a-1", "type": "Placed"}', content_type="application/x-ndjson"
            ),
        ]
        assert all("EVENTS_APPEND_OVER_HTTP" in each.json()["detail"] for each in sent if each.status_code == 403)
        return [each.status_code for each in sent]

    settings.EVENTS_APPEND_OVER_HTTP = "typed"
    assert statuses() == [201, 403, 403, 403, 403]
    settings.EVENTS_APPEND_OVER_HTTP = "none"
    assert statuses() == [403] * 5
    assert Event.objects.count() == 1
    settings.EVENTS_APPEND_OVER_HTTP = "all"
    assert statuses() == [201, 201, 201, 201, 400]
    store.dispatch(NewEvent("order-1", "Other"))
