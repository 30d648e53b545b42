"""The shop's projections: an INLINE one for orders, and ASYNC ones for sales and postage."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from django.db.models import F

from events.models import Event
from projections.base import ASYNC, INLINE, Projection, handles
from projections.registry import register

from .domain import (
    GoodsReturned,
    Line,
    OrderReceived,
    OrderWithdrawn,
    ParcelDelivered,
    ParcelPacked,
    ParcelShipped,
    PaymentReceived,
    PaymentRefunded,
)
from .models import Order, Postage, ProductSales

STATUS: Final = {
    PaymentReceived: "paid",
    OrderWithdrawn: "withdrawn",
    ParcelPacked: "packed",
    ParcelShipped: "shipped",
    ParcelDelivered: "delivered",
    GoodsReturned: "returned",
    PaymentRefunded: "refunded",
}

# What a carrier takes for a parcel, in euros. One parcel of the demo data travels by balloon: the projection cannot
# handle its event, so the event is parked. To mend it, add the balloon, start `make run` again, and retry the event.
TARIFFS: Final = {"north": Decimal("4.90"), "south": Decimal("5.40")}


@register
class Orders(Projection):
    """A row per order. It is INLINE: customers that have just paid see the order as paid."""

    name = "orders"
    mode = INLINE
    models = [Order]

    @handles(OrderReceived)
    def receive(self, event: Event[OrderReceived]) -> None:
        Order.objects.update_or_create(
            order_id=event.aggregate_id,
            defaults={
                "customer": event.payload.customer,
                "status": "placed",
                "total": event.payload.total,
                "placed_at": event.timestamp,
                "changed_at": event.timestamp,
            },
        )

    @handles(*STATUS)
    def change(self, event: Event) -> None:
        status = STATUS[type(event.payload)]
        Order.objects.filter(order_id=event.aggregate_id).update(status=status, changed_at=event.timestamp)


@register
class Sales(Projection):
    """A row per product. It is ASYNC, so orders of the same product do not wait for each other."""

    name = "product_sales"
    mode = ASYNC
    models = [ProductSales]

    @handles(OrderReceived)
    def count(self, event: Event[OrderReceived]) -> None:
        self._add(event.payload.lines, 1)

    @handles(GoodsReturned)
    def take_back(self, event: Event[GoodsReturned]) -> None:
        self._add(event.payload.lines, -1)

    def _add(self, lines: Iterable[Line], sign: int) -> None:
        for line in lines:
            quantity = sign * line.quantity
            ProductSales.objects.get_or_create(sku=line.sku, defaults={"quantity": 0, "revenue": 0})
            ProductSales.objects.filter(sku=line.sku).update(
                quantity=F("quantity") + quantity, revenue=F("revenue") + quantity * line.price
            )


@register
class PostageCosts(Projection):
    """A row per carrier."""

    name = "postage"
    mode = ASYNC
    models = [Postage]

    @handles(ParcelShipped)
    def count(self, event: Event[ParcelShipped]) -> None:
        carrier = event.payload.carrier
        tariff = TARIFFS[carrier]
        Postage.objects.get_or_create(carrier=carrier, defaults={"parcels": 0, "cost": 0})
        Postage.objects.filter(carrier=carrier).update(parcels=F("parcels") + 1, cost=F("cost") + tariff)
