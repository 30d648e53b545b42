"""Projections of untyped events that only the tests use: an INLINE one for orders, and an ASYNC one for sales."""

from decimal import Decimal, InvalidOperation
from typing import Any

from django.db.models import F

from events.models import Event
from projections.base import ASYNC, INLINE, Projection, handles
from projections.registry import register
from tests.shop.models import Order, ProductSales

MAX_AMOUNT = Decimal(10) ** 9


@register
class Orders(Projection):
    """A row per order. It is INLINE: customers that have just paid see the order as paid.

    If an INLINE handler raises, the event is rejected, so this projection accepts incomplete events.
    """

    name = "shop_orders"
    mode = INLINE
    models = [Order]

    @handles("OrderPlaced")
    def place(self, event: Event) -> None:
        Order.objects.update_or_create(
            order_id=event.aggregate_id,
            defaults={
                "customer": str(event.data.get("customer", "")),
                "status": "placed",
                "total": money(event.data.get("total")),
                "placed_at": event.timestamp,
                "changed_at": event.timestamp,
            },
        )

    @handles("OrderPaid", "OrderPacked", "OrderShipped", "OrderDelivered", "OrderCancelled", "OrderReturned")
    def change(self, event: Event) -> None:
        """Set the status from the event type: `OrderPaid` sets `paid`."""
        status = event.type.removeprefix("Order").lower()
        Order.objects.filter(order_id=event.aggregate_id).update(status=status, changed_at=event.timestamp)


def money(value: Any) -> Decimal:
    """Return an amount as a `Decimal` within the limits of the column; 0 if it is not a number."""
    try:
        return min(max(Decimal(str(value)), -MAX_AMOUNT), MAX_AMOUNT).quantize(Decimal("0.01"))
    except InvalidOperation:
        return Decimal(0)


@register
class Sales(Projection):
    """A row per product. It is ASYNC, so orders of the same product do not wait for each other."""

    name = "shop_sales"
    mode = ASYNC
    models = [ProductSales]

    @handles("OrderPlaced")
    def count(self, event: Event) -> None:
        for line in event.data.get("lines", []):
            self._add(line["sku"], int(line["quantity"]), money(line["price"]))

    @handles("OrderReturned")
    def take_back(self, event: Event) -> None:
        for line in event.data.get("lines", []):
            self._add(line["sku"], -int(line["quantity"]), money(line["price"]))

    def _add(self, sku: str, quantity: int, price: Decimal) -> None:
        ProductSales.objects.get_or_create(sku=sku, defaults={"quantity": 0, "revenue": 0})
        ProductSales.objects.filter(sku=sku).update(
            quantity=F("quantity") + quantity, revenue=F("revenue") + quantity * price
        )
