"""Event types change: names, versions and upcasters; what is stored stays as it is."""

import io
import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import connection
from rest_framework.test import APIClient

from events.domain import DomainEvent, upcasts
from events.exceptions import DuplicateEvent, InvalidEvent, NewerEvent, UnreadableEvent
from events.formats import cloudevents, serialization
from events.integrity import seals, verification
from events.models import Event
from events.storage import rows
from events.store import EventStore
from events.testing import isolated_registry
from events.types import NewEvent

pytestmark = pytest.mark.django_db

V1 = {"customer": "ann", "total": "5"}


def store_first_version(store: EventStore, *ids: str) -> list[Event]:
    """Store events under the first name, in the first version."""
    with isolated_registry():

        class OrderSubmitted(DomainEvent):
            customer: str
            total: str

        return store.dispatch(*[NewEvent(each, OrderSubmitted(**V1)) for each in ids or ["order-1"]])


@pytest.fixture
def order_placed(store: EventStore) -> type[DomainEvent]:
    """The second version, under another name, with an upcaster; two events are stored, one of each version."""
    store_first_version(store)

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        customer: str
        total: str
        currency: str

    @upcasts(OrderPlaced, to=2)
    def with_currency(data: dict[str, Any]) -> dict[str, Any]:
        data["currency"] = "EUR"  # in place, which must not reach what was stored
        return data

    store.dispatch(NewEvent("order-1", OrderPlaced(customer="bob", total="6", currency="USD")))
    return OrderPlaced


def nested(levels: int) -> Any:
    return [nested(levels - 1)] if levels else 1


def stored_rows() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, data, metadata FROM events_event ORDER BY position")
        return [(name, json.loads(data), json.loads(metadata)) for name, data, metadata in cursor.fetchall()]


def reads(store: EventStore) -> Iterator[tuple[str, list[Event]]]:
    queryset = Event.objects.order_by("position")
    yield "read_all", list(store.read_all())
    yield "reverse", list(store.read_all(reverse=True))[::-1]
    yield "history", store.get_events_for_aggregate("order-1")
    yield "queryset", list(queryset)
    yield "iterator", list(queryset.iterator())
    yield "deferred", list(queryset.defer("data"))
    yield "deferred metadata", list(queryset.defer("metadata"))
    yield "only", list(queryset.only("data"))
    yield "headings", list(queryset.headings())
    yield "page", rows.fetch_page(queryset, 10)


def test_each_read_returns_the_newest_form(store: EventStore, order_placed: Any) -> None:
    for way, events in reads(store):
        assert [event.type for event in events] == ["OrderPlaced", "OrderPlaced"], way
        assert [event.data for event in events] == [V1 | {"currency": "EUR"}, events[1].data], way
        assert events[0].payload == order_placed(customer="ann", total="5", currency="EUR"), way
        assert [event.metadata for event in events] == [{"$schema": 2}] * 2, way
        assert [event.stored_type for event in events] == ["OrderSubmitted", "OrderPlaced"], way
        assert events[0].stored_data == V1, way
    assert stored_rows() == [
        ("OrderSubmitted", V1, {}),
        ("OrderPlaced", {"customer": "bob", "total": "6", "currency": "USD"}, {"$schema": 2}),
    ]


def test_text_of_rows_is_in_the_newest_form_too(store: EventStore, order_placed: Any) -> None:
    """HTTP and event streams send the JSON text of rows."""
    page = rows.fetch_page(Event.objects.order_by("position"), 10, as_rows=True)
    sent = [json.loads(serialization.to_json(serialization.event_row_as_dict(row))) for row in page]
    assert [each["type"] for each in sent] == ["OrderPlaced"] * 2
    assert sent[0]["data"] == V1 | {"currency": "EUR"}
    assert sent[0]["metadata"] == {"$schema": 2}
    sent_as_cloudevent = cloudevents.from_event(Event.objects.earliest("position"))
    assert (sent_as_cloudevent["type"], sent_as_cloudevent["data"]) == ("OrderPlaced", V1 | {"currency": "EUR"})


def test_export_and_seals_have_what_was_stored(store: EventStore, order_placed: Any) -> None:
    exported = [json.loads(line) for line in b"".join(store.export()).splitlines()]
    assert [(each["type"], each["data"], each["metadata"]) for each in exported] == stored_rows()
    with isolated_registry():
        seals.seal(store.using)
    verified = verification.Verification(store.using)
    list(verified.run())
    assert verified.events == len(exported)


def test_export_is_imported_as_it_was_stored(store: EventStore, order_placed: Any, tmp_path: Any) -> None:
    file = tmp_path / "events.jsonl"
    lines = [json.loads(line) for line in b"".join(store.export()).splitlines()]
    before = stored_rows()
    call_command("import_events", str(self_written(file, lines)), stdout=io.StringIO())
    assert stored_rows() == before, "they are the same events"
    copies = [each | {"event_id": str(uuid4()), "aggregate_id": "order-2"} for each in lines]
    call_command("import_events", str(self_written(file, copies)), stdout=io.StringIO())
    assert stored_rows() == before * 2
    newer = copies[0] | {"event_id": str(uuid4()), "metadata": {"$schema": 3}}
    for line, words in [
        (newer, "deploy the newer code"),
        (copies[0] | {"event_id": str(uuid4()), "data": {"customer": 5}}, "data.customer"),
        ({"aggregate_id": "order-3", "type": "OrderPlaced", "data": V1}, "data.currency: is missing"),
    ]:
        with pytest.raises(Exception, match=words):
            call_command("import_events", str(self_written(file, [line])), stdout=io.StringIO())
    assert len(stored_rows()) == 4


def self_written(file: Any, lines: list[dict[str, Any]]) -> Any:
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return file


def test_new_name_finds_old_events_in_order_on_the_index(store: EventStore, order_placed: Any) -> None:
    store_first_version(store, "order-2")
    for name in ("OrderPlaced", "OrderSubmitted", order_placed):
        found = list(store.read_all(types=[name]))
        assert [event.aggregate_id for event in found] == ["order-1", "order-1", "order-2"]
    seen: list[str] = []

    def handler(event: Event, **kwargs: Any) -> None:
        seen.append(event.type)

    for name in ("OrderPlaced", "OrderSubmitted"):
        with store.subscribe(name, handler):
            store.dispatch(NewEvent("order-1", "OrderPlaced", V1 | {"currency": "EUR"}))
    assert seen == ["OrderPlaced"] * 2


def test_subscriber_of_an_old_name_that_came_before_the_type(store: EventStore) -> None:
    seen: list[str] = []

    def handler(event: Event, **kwargs: Any) -> None:
        seen.append(event.type)

    store.subscribe("Old", handler)

    class New(DomainEvent, renamed_from=["Old"]):
        pass

    store.dispatch(NewEvent("a-1", New()), NewEvent("a-1", "Old"))
    assert store.unsubscribe(New, handler)
    store.dispatch(NewEvent("a-1", New()))
    assert seen == ["New", "New"]


def test_retry_from_before_the_rename_is_a_retry(store: EventStore) -> None:
    event = NewEvent("order-1", "OrderSubmitted", {"customer": "ann"})
    store.dispatch(event)

    class OrderPlaced(DomainEvent, renamed_from=["OrderSubmitted"]):
        customer: str
        note: str = ""

    for again in (event, NewEvent("order-1", OrderPlaced(customer="ann"), event_id=event.event_id)):
        result = store.dispatch(again)
        assert result.is_retry
        assert result[0].payload == OrderPlaced(customer="ann")
    with pytest.raises(DuplicateEvent):
        store.dispatch(NewEvent("order-1", OrderPlaced(customer="bob"), event_id=event.event_id))
    assert stored_rows() == [("OrderSubmitted", {"customer": "ann"}, {})]


def test_upcaster_that_raises_makes_the_event_unreadable(store: EventStore) -> None:
    store_first_version(store, "order-1", "order-2")

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        customer: str

    @upcasts(OrderPlaced, to=2)
    def broken(data: dict[str, Any]) -> dict[str, Any]:
        return {"customer": data["client"]}

    first = Event.objects.earliest("position")
    reason = "OrderSubmitted in schema version 1: KeyError: 'client'"
    assert (first.unreadable, first.type, first.stored_data) == (reason, "OrderPlaced", V1)
    for read in (
        lambda: first.data,
        lambda: first.payload,
        lambda: first.refresh_from_db(fields=["data"]),
        lambda: Event.objects.defer("data").earliest("position").data,
        lambda: store.get_events_for_aggregate("order-1"),
        lambda: list(store.read_all()),
    ):
        with pytest.raises(UnreadableEvent, match="KeyError") as caught:
            read()
        error = caught.value
        assert (error.type, error.version, error.position) == ("OrderSubmitted", 1, first.position)
        assert isinstance(error.__cause__, KeyError)
    page = rows.fetch_page(Event.objects.order_by("position"), 10, as_rows=True)
    assert [serialization.event_as_dict(event)["unreadable"] for event in page] == [reason] * 2
    assert serialization.event_as_dict(page[0])["data"] is None


def test_results_of_upcasters_are_json(store: EventStore) -> None:
    from decimal import Decimal

    store_first_version(store)

    class OrderPlaced(DomainEvent, version=3, renamed_from=["OrderSubmitted"]):
        total: Decimal

    upcasts(OrderPlaced, to=2)(lambda data: {"total": Decimal(data["total"])})

    (event,) = Event.objects.all()
    assert "no upcaster to version 3; write one with @upcasts(OrderPlaced, to=3)" in event.unreadable
    upcasts(OrderPlaced, to=3)(lambda data: data)
    (event,) = Event.objects.all()
    assert event.data == {"total": "5"}
    upcasts(OrderPlaced, to=3).__call__  # noqa: B018


@pytest.mark.parametrize("value", [None, 1e23, -0.0, 1e-300, 2**70, "null", {"a": [None, "é"]}, nested(30)])
def test_results_of_upcasters_are_exact(store: EventStore, value: Any) -> None:
    store_first_version(store)

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        pass

    upcasts(OrderPlaced, to=2)(lambda data: {"value": value})
    (event,) = Event.objects.all()
    assert repr(event.data) == repr({"value": value})


class WithoutText(Exception):
    def __str__(self) -> str:
        raise RuntimeError


def raising(error: BaseException) -> Any:
    def upcaster(data: dict[str, Any]) -> dict[str, Any]:
        raise error

    return upcaster


@pytest.mark.parametrize(
    ("upcaster", "reason"),
    [
        (raising(ValueError("half a pair: \ud800, NUL: \0")), r"ValueError: half a pair: \ud800, NUL: \0"),
        (raising(WithoutText()), "WithoutText: its __str__ raised RuntimeError"),
        (raising(ValueError("x" * 5000)), f"ValueError: {'x' * 1987}…"),
        (raising(SystemExit(3)), "RuntimeError: the upcaster to version 2 called sys.exit(3)"),
        (lambda data: {"total": float("nan")}, "data.total: is nan, which is not a JSON number"),
        (lambda data: {"total": [float("-inf")]}, "data.total[0]: is -inf, which is not a JSON number"),
        (lambda data: {"total": "\ud800"}, "data.total: contains a lone surrogate"),
        (lambda data: {"total": "\0"}, "data.total: contains a NUL character"),
        (lambda data: {"total": nested(400)}, "is nested more than 254 levels deep"),
    ],
    ids=range(9),
)
def test_any_fault_of_an_upcaster_makes_the_event_unreadable_at_each_door(
    store: EventStore, api: APIClient, admin_client: Any, upcaster: Any, reason: str
) -> None:
    with isolated_registry():
        store_first_version(store, "order-1")
    store.dispatch(NewEvent("order-1", "Other"))

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        pass

    upcasts(OrderPlaced, to=2)(upcaster)
    with pytest.raises(UnreadableEvent):
        store.get_events_for_aggregate("order-1")
    first = Event.objects.earliest("position")
    assert reason in first.unreadable
    assert len(first.unreadable) < 2100
    for url in ("/api/events/", "/api/aggregates/order-1/events/", f"/api/events/{first.event_id}/"):
        answered = api.get(url)
        assert answered.status_code == 200
        found = answered.json().get("events", [answered.json()])[0]
        assert (found["data"], found["unreadable"]) == (None, first.unreadable)
    answered = api.get("/api/events/", headers={"Accept": "application/cloudevents-batch+json"})
    assert [each.get("unreadable") for each in answered.json()] == [first.unreadable, None]
    for page in (f"event/{first.pk}", "aggregate/order-1"):
        assert "cannot be read" in admin_client.get(f"/admin/events/{page}/change/").content.decode()


def test_worker_that_is_told_to_stop_inside_an_upcaster_stops(store: EventStore) -> None:
    store_first_version(store)

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        pass

    class StopNow(SystemExit):
        pass

    upcasts(OrderPlaced, to=2)(raising(StopNow()))
    with pytest.raises(StopNow):
        store.get_events_for_aggregate("order-1")


def test_names_in_the_result_of_an_upcaster_are_text(store: EventStore) -> None:
    store_first_version(store, "order-1")

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        quantities: dict[int, int]

    upcasts(OrderPlaced, to=2)(lambda data: {"quantities": {7: 2}})
    (event,) = store.read_all()
    assert (event.data, event.payload.quantities) == ({"quantities": {"7": 2}}, {7: 2})


def test_event_newer_than_the_code(store: EventStore) -> None:
    with isolated_registry():

        class Paid(DomainEvent, version=3):
            pass

        store.dispatch(NewEvent("a-1", Paid()))

    class Paid(DomainEvent, version=2):  # type: ignore[no-redef]
        pass

    upcasts(Paid, to=2)(lambda data: data)
    with pytest.raises(NewerEvent, match="deploy the newer code first") as caught:
        list(store.read_all())
    assert (caught.value.type, caught.value.version) == ("Paid", 3)


@pytest.mark.parametrize("mark", ["2", 0, True, 1.5, None, [1]])
def test_version_that_is_none_is_an_error(store: EventStore, mark: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT events_append_one('a-1', 'Paid', '{}', %s::jsonb, NULL, %s, NULL, false, false)",
            [json.dumps({"$schema": mark}), uuid4()],
        )

    class Paid(DomainEvent):
        pass

    (event,) = Event.objects.all()
    assert "it must be a whole number from 1 up" in event.unreadable


def test_mark_is_reserved(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="reserved") as caught:
        store.dispatch(NewEvent("a-1", "Untyped", metadata={"$schema": 2}))
    assert caught.value.field == "metadata.$schema"


def test_untyped_events_are_read_as_they_are(store: EventStore, order_placed: Any) -> None:
    (stored,) = store.dispatch(NewEvent("a-1", "Untyped", {"n": 1}))
    assert stored.payload == stored.data == stored.stored_data == {"n": 1}
