"""Demo data: two weeks of a small web shop. Each call returns the same events with other dates."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from operator import itemgetter
from random import Random
from uuid import UUID

from events.types import NewEvent

GOODS = {"BOOK-7": 24.9, "LAMP-2": 59.0, "MUG-1": 12.5, "PEN-4": 3.2, "DESK-9": 349.0}
ORDERS = 90
DAYS = 14


def shop_events(now: datetime, orders: int = ORDERS, days: int = DAYS) -> list[NewEvent]:
    """Return the events of `orders` orders in the `days` days before `now`, in the order they happened."""
    chance = Random(2013)
    events = [event for number in range(1, orders + 1) for event in _order(number, now, days, chance)]
    events.sort(key=itemgetter(0))
    return [event for moment, event in events if moment <= now]


def _order(number: int, now: datetime, days: int, chance: Random) -> Iterator[tuple[datetime, NewEvent]]:
    """Yield the events of one order with their times, from the cart to the delivery."""
    moment = now - timedelta(days=days * chance.random())
    customer = f"customer-{chance.randrange(1, 40)}"
    cart, order = f"cart-{number}", f"order-{1000 + number}"
    metadata = {"correlation_id": str(UUID(int=chance.getrandbits(128), version=4)), "actor": customer}

    def event(aggregate_id: str, name: str, minutes: float, **data: object) -> tuple[datetime, NewEvent]:
        nonlocal moment, metadata
        moment += timedelta(minutes=minutes * (0.5 + chance.random()))
        event_id = UUID(int=chance.getrandbits(128), version=4)
        new = moment, NewEvent(aggregate_id, name, data, moment, metadata=metadata, event_id=event_id)
        metadata = metadata | {"causation_id": str(event_id)}
        return new

    lines = [
        {"sku": sku, "quantity": chance.choice((1, 1, 1, 2, 3)), "price": GOODS[sku]}
        for sku in chance.sample(list(GOODS), chance.choice((1, 1, 2, 3)))
    ]
    for line in lines:
        yield event(cart, "ItemAdded", 4, **line)
    if len(lines) > 1 and chance.random() < 0.3:
        yield event(cart, "ItemRemoved", 2, sku=lines.pop()["sku"])
    if chance.random() < 0.15:
        return
    total = round(sum(float(line["price"]) * int(line["quantity"]) for line in lines), 2)
    yield event(cart, "CheckedOut", 3, order=order)
    yield event(order, "OrderPlaced", 0.1, customer=customer, lines=lines, total=total, currency="EUR")
    if chance.random() < 0.1:
        yield event(order, "PaymentFailed", 5, reason="insufficient funds")
        if chance.random() < 0.5:
            yield event(order, "OrderCancelled", 60, reason="not paid")
            return
    yield event(order, "OrderPaid", 10, method=chance.choice(("card", "transfer", "wallet")), amount=total)
    yield event(order, "OrderPacked", 400, parcels=1 + (total > 300))
    yield event(order, "OrderShipped", 200, carrier=chance.choice(("north", "south")), tracking=f"T{number:06}")
    yield event(order, "OrderDelivered", 2000)
    if chance.random() < 0.08:
        yield event(order, "OrderReturned", 4000, lines=lines[:1], refund=lines[0]["price"])
