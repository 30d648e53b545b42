"""The process manager of the shop: it leads an order from its payment to its parcel, or ends it."""

from contextlib import suppress
from datetime import timedelta
from typing import Final

from events.models import Event
from events.types import NewEvent
from projections.base import handles
from projections.reactions import Actions, Reaction
from projections.registry import register

from .domain import (
    Order,
    OrderReceived,
    OrderRule,
    OrderWithdrawn,
    Parcel,
    ParcelRequested,
    ParcelRule,
    PaymentOverdue,
    PaymentReceived,
    orders,
    parcels,
)

# Short, so that somebody who tries the demo sees it end.
TIME_TO_PAY: Final = timedelta(minutes=2)


@register
class Fulfilment(Reaction):
    """An order that is not paid in time is withdrawn. A paid one gets a parcel, or its payment back.

    It needs no rows of its own: what it has to know is in the events, and in the aggregates that it asks.
    """

    name = "fulfilment"

    @handles(OrderReceived)
    def wait_for_payment(self, event: Event[OrderReceived], do: Actions) -> None:
        do.schedule(NewEvent(event.aggregate_id, PaymentOverdue()), key=event.aggregate_id, after=TIME_TO_PAY)

    @handles(PaymentReceived)
    def request_parcel(self, event: Event[PaymentReceived], do: Actions) -> None:
        do.cancel(event.aggregate_id)
        number = event.aggregate_id.removeprefix(f"{Order.category}-")
        try:
            do.handle(parcels, number, Parcel.request, event.aggregate_id, event.payload.amount)
        except ParcelRule as rejection:  # the compensation
            do.handle(orders, event.aggregate_id, Order.refund, str(rejection))

    @handles(ParcelRequested)
    def pack(self, event: Event[ParcelRequested], do: Actions) -> None:
        do.handle(orders, event.payload.order, Order.pack)

    @handles(PaymentOverdue)
    def withdraw(self, event: Event[PaymentOverdue], do: Actions) -> None:
        with suppress(OrderRule):  # it may have been paid or withdrawn at the last moment
            do.handle(orders, event.aggregate_id, Order.withdraw, "not paid in time")

    @handles(OrderWithdrawn)
    def stop_waiting(self, event: Event[OrderWithdrawn], do: Actions) -> None:
        do.cancel(event.aggregate_id)
