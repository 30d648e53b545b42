"""What a type checker makes of typed events; read as `public_api` is."""

from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_type
from uuid import UUID

import attrs
import msgspec

from events.domain import DomainEvent, Value, event_type, register_codec, upcasts
from events.models import Event
from events.store import EventStore
from events.subscriptions import Subscription
from events.testing import make_event, make_new_event
from events.types import ALL, NewEvent
from projections.base import Projection, handles
from projections.registry import register
from projections.testing import project

store = EventStore()


class Card(Value):
    number: str


class Cash(Value):
    pass


class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
    customer: str
    total: Decimal
    currency: str = "EUR"


class OrderPaid(DomainEvent, type="order-paid"):
    by: Card | Cash


class OrderSent(DomainEvent):
    pass


@event_type("order-returned", version=2)
@attrs.frozen
class OrderReturned:
    reason: str


@event_type()
class OrderLost(msgspec.Struct, frozen=True):
    where: str


@upcasts(OrderPlaced, to=2)
def with_currency(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "currency": "EUR"}


assert_type(with_currency({}), dict[str, Any])
register_codec(UUID, encode=str, decode=UUID)
upcasts(OrderPlaced, to=2)(len)  # type: ignore[type-var]


def payloads() -> None:
    placed = OrderPlaced(customer="ann", total=Decimal(5))
    assert_type(placed.total, Decimal)
    assert_type(OrderPaid(by=Card(number="1")).by, Card | Cash)
    assert_type(OrderReturned("broken").reason, str)
    assert_type(OrderLost(where="at sea").where, str)
    OrderPlaced(customer="ann", total="5")  # type: ignore[arg-type]
    OrderPlaced(customer="ann")  # type: ignore[call-arg]
    OrderPlaced("ann", Decimal(5))  # type: ignore[call-arg]
    OrderPlaced(customer="ann", total=Decimal(5), colour="red")  # type: ignore[call-arg]
    placed.total = Decimal(6)  # type: ignore[misc]
    OrderPaid(by="card")  # type: ignore[arg-type]
    OrderReturned(7)  # type: ignore[arg-type]
    OrderLost(when="today")  # type: ignore[call-arg]
    placed.colour  # type: ignore[attr-defined]  # noqa: B018


def new_events(placed: OrderPlaced, moment: datetime) -> None:
    new = NewEvent("order-1", placed, timestamp=moment, metadata={"user": "ann"})
    assert_type(new.type, str)
    assert_type(NewEvent("order-1", OrderLost(where="at sea")), NewEvent)
    store.dispatch(new, NewEvent("order-1", "OrderSent"), NewEvent("order-1", "OrderSent", {}, moment))
    NewEvent("order-1", placed, {"total": 5})  # type: ignore[call-overload]
    NewEvent("order-1", placed, metadata="ann")  # type: ignore[call-overload]
    store.dispatch(placed)  # type: ignore[arg-type]


def fields(event: Event, typed: Event[OrderPlaced], either: Event[OrderPlaced | OrderSent]) -> None:
    assert_type(event.payload, object)
    assert_type(event.type, str)
    assert_type(event.data, Any)
    assert_type(event.position, int)
    assert_type(event.version, int)
    assert_type(event.event_id, UUID)
    assert_type(event.recorded_at, datetime)
    assert_type(event.stored_type, str)
    assert_type(typed.payload, OrderPlaced)
    assert_type(typed.payload.total, Decimal)
    assert_type(typed.type, str)
    assert_type(typed.timestamp, datetime)
    assert_type(either.payload, OrderPlaced | OrderSent)
    as_any: Event = typed
    wider: Event[OrderPlaced | OrderSent] = typed
    fields(as_any, typed, wider)
    fields(event, either, either)  # type: ignore[arg-type]
    fields(event, event, either)  # type: ignore[arg-type]


def reading() -> None:
    assert_type(store.read_all(types=OrderPlaced), Iterator[Event[OrderPlaced]])
    assert_type(store.read_all(after=7, types=[OrderPlaced], limit=5), Iterator[Event[OrderPlaced]])
    assert_type(store.read_all(types=(OrderPlaced,), reverse=True), Iterator[Event[OrderPlaced]])
    assert_type(store.read_all(types=(OrderPlaced, OrderSent)), Iterator[Event[OrderPlaced | OrderSent]])
    three = store.read_all(types=(OrderPlaced, OrderSent, OrderLost), categories=["order"])
    assert_type(three, Iterator[Event[OrderPlaced | OrderSent | OrderLost]])
    for event in store.read_all(types=[OrderPlaced, OrderSent]):  # their payloads: pyright knows more than mypy
        assert_type(event.type, str)
    assert_type(store.read_all(types=["OrderPlaced", "OrderSent"]), Iterator[Event])
    assert_type(store.read_all(types=["OrderPlaced", OrderSent]), Iterator[Event])
    assert_type(store.read_all(types=None), Iterator[Event])
    assert_type(store.read_all(), Iterator[Event])
    assert_type(store.export(types=OrderPlaced), Iterator[bytes])
    store.read_all(types=7)  # type: ignore[call-overload]
    store.read_all(types=[7])  # type: ignore[list-item]
    store.read_all(types=OrderPlaced, after="7")  # type: ignore[call-overload]


async def from_coroutines() -> None:
    assert_type(store.aread_all(types=OrderPlaced), AsyncIterator[Event[OrderPlaced]])
    assert_type(store.aread_all(types=(OrderPlaced, OrderSent)), AsyncIterator[Event[OrderPlaced | OrderSent]])
    assert_type(store.aread_all(types=["OrderPlaced"]), AsyncIterator[Event])
    async for event in store.aread_all(types=OrderPlaced):
        assert_type(event.payload.total, Decimal)


def subscribing() -> None:
    def placed(event: Event[OrderPlaced], **kwargs: Any) -> None: ...
    def sent(event: Event[OrderSent], **kwargs: Any) -> None: ...
    def anything(event: Event, **kwargs: Any) -> None: ...

    @store.subscribe(OrderPlaced, on_commit=True)
    def decorated(event: Event[OrderPlaced], *, using: str = "default", **kwargs: Any) -> int:
        return event.version

    assert_type(decorated(Event(), using="other"), int)
    assert_type(store.subscribe(OrderPlaced, placed), Subscription)
    assert_type(store.subscribe(OrderPlaced, anything), Subscription)
    assert_type(store.subscribe(ALL, anything), Subscription)
    assert_type(store.unsubscribe(OrderPlaced, placed), bool)
    decorated("event", using="other")  # type: ignore[arg-type]
    store.subscribe(OrderPlaced, sent)  # type: ignore[arg-type]
    store.subscribe(OrderPlaced)(sent)  # type: ignore[arg-type]
    store.subscribe([OrderPlaced], anything)  # type: ignore[call-overload]


@register
class Orders(Projection):
    name = "typed_orders"

    @handles(OrderPlaced)
    def placed(self, event: Event[OrderPlaced]) -> None:
        assert_type(event.payload.total, Decimal)

    @handles(OrderPlaced, OrderSent)
    def both(self, event: Event[OrderPlaced | OrderSent]) -> int:
        return event.version

    @handles(OrderPlaced, OrderSent, OrderLost)
    def three(self, event: Event[OrderPlaced | OrderSent | OrderLost]) -> None:
        assert_type(event.payload, OrderPlaced | OrderSent | OrderLost)

    @handles(OrderPlaced, OrderSent, OrderLost, OrderPaid)
    def four(self, event: Event) -> None: ...

    @handles(OrderPlaced, "OrderArchived")
    def mixed(self, event: Event) -> None: ...

    @handles("OrderArchived", "OrderDeleted")
    def by_name(self, event: Event) -> None: ...

    @handles(ALL)
    def all(self, event: Event) -> None: ...

    @handles(OrderPlaced)
    def untyped(self, event: Event) -> None: ...

    @handles(OrderPlaced)  # type: ignore[arg-type]
    def another(self, event: Event[OrderSent]) -> None: ...

    @handles(OrderPlaced, OrderSent)  # type: ignore[arg-type]
    def one_of_two(self, event: Event[OrderPlaced]) -> None: ...

    @handles(OrderPlaced)  # type: ignore[arg-type]
    def its_payload(self, event: OrderPlaced) -> None: ...

    @handles(7)  # type: ignore[call-overload, untyped-decorator]
    def a_number(self, event: Event) -> None: ...


def projecting(new: NewEvent, event: Event[OrderPlaced]) -> None:
    assert_type(project(Orders, new), list[Event])
    assert_type(Orders().both(event), int)
    Orders().both("event")  # type: ignore[arg-type]


class Batches(Projection):
    types = OrderPlaced


def testing(placed: OrderPlaced) -> None:
    assert_type(make_new_event("order-1", placed), NewEvent)
    assert_type(make_event("order-1", placed, version=3), Event[OrderPlaced])
    assert_type(make_event("order-1", "OrderPlaced", {"total": 5}), Event)
    Orders().placed(make_event("order-1", placed))
    Orders().placed(make_event("order-1", OrderSent()))  # type: ignore[arg-type]
    make_event("order-1", placed, {"total": 5})  # type: ignore[call-overload]
