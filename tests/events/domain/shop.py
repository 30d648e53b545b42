"""An order, for the tests of this folder: defined inside a test, because each test has a registry of its own."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from events.domain import Aggregate, DomainEvent, applies, creates
from events.exceptions import Rejected


class AlreadyPaid(Rejected):
    pass


def define() -> Any:
    class OrderPlaced(DomainEvent):
        customer: str
        total: Decimal

    class OrderPaid(DomainEvent):
        method: str

    class Order(Aggregate, category="order"):
        customer: str = ""
        total: Decimal = Decimal(0)
        paid: bool = False

        @applies(OrderPlaced)
        def was_placed(self, event: Any) -> None:
            self.customer, self.total = event.customer, event.total

        @applies(OrderPaid)
        def was_paid(self, event: Any) -> None:
            self.paid = True

        @creates
        def place(self, customer: str, total: Decimal) -> str:
            self.record(OrderPlaced(customer=customer, total=total))
            return f"placed {self.id}"

        def pay(self, method: str) -> None:
            if self.paid:
                raise AlreadyPaid(f"{self.aggregate_id} is paid already")
            self.record(OrderPaid(method=method))

    return SimpleNamespace(OrderPlaced=OrderPlaced, OrderPaid=OrderPaid, Order=Order)
