"""Demo data: two weeks of a small web shop. Each call stores the same events with other dates.

The first half comes from a file that the shop's former software has exported, in the form of then: orders were called
`OrderSubmitted`, and their amounts were floats.
"""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from io import BytesIO
from random import Random
from typing import Any
from uuid import UUID

from django.db import connections, transaction

from events import decoding
from events.formats.files import read_json_lines
from events.formats.importing import Importer
from events.store import EventStore
from events.types import ExportedEvent, NewEvent

from .domain import (
    GOODS,
    GoodsReturned,
    Line,
    OrderReceived,
    OrderWithdrawn,
    ParcelDelivered,
    ParcelPacked,
    ParcelShipped,
    PaymentDeclined,
    PaymentReceived,
)

ORDERS = 300
DAYS = 14
BALLOON_ORDER = "order-4711"


def store_history(now: datetime, orders: int = ORDERS, days: int = DAYS) -> int:
    """Store the demo data in the empty store as if the shop had been running all along; return the number of events."""
    events = history(now, orders, days)
    before = now - timedelta(days=days / 2)
    old = [event for event in events if _moment(event) < before]
    store = EventStore()
    with transaction.atomic(store.using):  # a store with half of it would not be filled again
        for _ in Importer(store).run(read_json_lines(BytesIO(former_export(old)), ExportedEvent)):
            pass
        store.dispatch(*events[len(old) :])
        _store_when_they_happened(store.using)
    return len(events)


def history(now: datetime, orders: int = ORDERS, days: int = DAYS) -> list[NewEvent]:
    """Return the events of `orders` orders in the `days` days before `now`, in the order they happened."""
    chance = Random(2013)
    events = [event for number in range(1, orders + 1) for event in _order(number, now, days, chance)]
    events += _balloon(now)
    events.sort(key=_moment)
    return [event for event in events if _moment(event) <= now]


def former_export(events: Sequence[NewEvent]) -> bytes:
    """Return a file of JSON Lines as the shop's former software would have exported the events."""
    return "".join(f"{json.dumps(_in_former_form(event))}\n" for event in events).encode()


def _in_former_form(event: NewEvent) -> dict[str, Any]:
    name, data = event.type, decoding.normalized(event.type, event.data)
    if isinstance(event.data, OrderReceived):
        name = "OrderSubmitted"
        lines = [{**line, "price": float(line["price"])} for line in data["lines"]]
        data = {"customer": data["customer"], "lines": lines, "total": float(data["total"])}
    return {
        "aggregate_id": event.aggregate_id,
        "type": name,
        "data": data,
        "metadata": event.metadata,
        "timestamp": _moment(event).isoformat(),
        "event_id": str(event.event_id),
    }


def _moment(event: NewEvent) -> datetime:
    if event.timestamp is None:
        raise AssertionError("each event of the demo data has a timestamp")
    return event.timestamp


class _Flow:
    """The events of one order, each caused by the one before, at growing times."""

    def __init__(self, customer: str, moment: datetime, chance: Random) -> None:
        self._moment, self._chance = moment, chance
        self._metadata = {"correlation_id": str(self._new_id()), "actor": customer}

    def event(self, aggregate_id: str, minutes: float, payload: Any, data: Any = None) -> NewEvent:
        """Return an event about so many minutes after the last one."""
        self._moment += timedelta(minutes=minutes * (0.5 + self._chance.random()))
        fields: dict[str, Any] = {"timestamp": self._moment, "metadata": self._metadata, "event_id": self._new_id()}
        new = NewEvent(aggregate_id, payload, data, **fields) if data else NewEvent(aggregate_id, payload, **fields)
        self._metadata = self._metadata | {"causation_id": str(new.event_id)}
        return new

    def _new_id(self) -> UUID:
        return UUID(int=self._chance.getrandbits(128), version=4)


def _order(number: int, now: datetime, days: int, chance: Random) -> Iterator[NewEvent]:
    """Yield the events of one order, from the cart to the delivery."""
    customer = f"customer-{chance.randrange(1, 40)}"
    flow = _Flow(customer, now - timedelta(days=days * chance.random()), chance)
    cart, order = f"cart-{number}", f"order-{1000 + number}"
    lines = [
        Line(sku=sku, quantity=chance.choice((1, 1, 1, 2, 3)), price=GOODS[sku])
        for sku in chance.sample(list(GOODS), chance.choice((1, 1, 2, 3)))
    ]
    for line in lines:
        yield flow.event(cart, 4, "ItemAdded", {"sku": line.sku, "quantity": line.quantity, "price": str(line.price)})
    if len(lines) > 1 and chance.random() < 0.3:
        yield flow.event(cart, 2, "ItemRemoved", {"sku": lines.pop().sku})
    if chance.random() < 0.15:
        return
    total = sum((line.price * line.quantity for line in lines), Decimal(0))
    yield flow.event(cart, 3, "CheckedOut", {"order": order})
    yield flow.event(order, 0.1, OrderReceived(customer=customer, lines=lines, total=total, currency="EUR"))
    if chance.random() < 0.1:
        yield flow.event(order, 5, PaymentDeclined(reason="insufficient funds"))
        if chance.random() < 0.5:
            yield flow.event(order, 60, OrderWithdrawn(reason="not paid"))
            return
    method: Any = chance.choice(("card", "transfer", "wallet") if total <= 200 else ("card", "transfer"))
    yield flow.event(order, 10, PaymentReceived(method=method, amount=total))
    yield flow.event(order, 400, ParcelPacked(parcels=1 + (total > 300)))
    yield flow.event(order, 200, ParcelShipped(carrier=chance.choice(("north", "south")), tracking=f"T{number:06}"))
    yield flow.event(order, 2000, ParcelDelivered())
    if chance.random() < 0.08:
        yield flow.event(order, 4000, GoodsReturned(lines=lines[:1], refund=lines[0].price))


def _balloon(now: datetime) -> Iterator[NewEvent]:
    """Yield the events of an order whose carrier no tariff names, so that a projection parks its event."""
    flow = _Flow("customer-12", now - timedelta(hours=33), Random(4711))
    line = Line(sku="LAMP-2", quantity=1, price=GOODS["LAMP-2"])
    received = OrderReceived(customer="customer-12", lines=[line], total=line.price, currency="EUR")
    yield flow.event(BALLOON_ORDER, 5, received)
    yield flow.event(BALLOON_ORDER, 5, PaymentReceived(method="card", amount=line.price))
    yield flow.event(BALLOON_ORDER, 60, ParcelPacked())
    yield flow.event(BALLOON_ORDER, 60, ParcelShipped(carrier="balloon", tracking="B000001"))


def _store_when_they_happened(using: str) -> None:
    """Set the recording time of each event to its timestamp, so that charts show days instead of one moment.

    Only the owner of the tables may do this, and only before events are sealed.
    """
    with connections[using].cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute("UPDATE events_event SET recorded_at = timestamp")
        cursor.execute(
            """
            UPDATE events_aggregate AS a SET created_at = e.first, updated_at = e.last
            FROM (SELECT aggregate_id, min(recorded_at) AS first, max(recorded_at) AS last
                  FROM events_event GROUP BY aggregate_id) AS e
            WHERE e.aggregate_id = a.aggregate_id
            """
        )
        cursor.execute(
            "UPDATE projections_aggregateactivity"
            " SET first_recorded_at = first_timestamp, last_recorded_at = last_timestamp"
        )
