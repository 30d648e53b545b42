"""The shop's domain: its events, and an order with the rules that decide which of them may happen.

Carts have no classes: their events are untyped, as events of any name may be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec import Meta

from events.domain import Aggregate, DomainEvent, Repository, applies, command, creates, upcasts
from events.exceptions import Rejected

# The price of each product in euros.
GOODS: Mapping[str, Decimal] = {
    "BOOK-7": Decimal("24.90"),
    "LAMP-2": Decimal("59.00"),
    "MUG-1": Decimal("12.50"),
    "PEN-4": Decimal("3.20"),
    "DESK-9": Decimal("349.00"),
}
MAX_QUANTITY = 5
WALLET_LIMIT = Decimal(200)
INSURED = Decimal(1000)

Method = Literal["card", "transfer", "wallet"]
Quantity = Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]


@dataclass(frozen=True, kw_only=True)
class Line:
    """A product of an order, with its price at that time."""

    sku: str
    quantity: Annotated[int, Meta(ge=1)]
    price: Decimal


class OrderReceived(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
    customer: str
    lines: list[Line]
    total: Decimal
    currency: str


@upcasts(OrderReceived, to=2)
def with_exact_amounts(data: dict[str, Any]) -> dict[str, Any]:
    """In version 1, amounts were floats, and always in euros."""
    lines = [{**line, "price": f"{line['price']:.2f}"} for line in data["lines"]]
    return {**data, "lines": lines, "total": f"{data['total']:.2f}", "currency": "EUR"}


class PaymentReceived(DomainEvent):
    method: Method
    amount: Decimal


class PaymentDeclined(DomainEvent):
    reason: str


class PaymentOverdue(DomainEvent):
    pass


class PaymentRefunded(DomainEvent):
    amount: Decimal
    reason: str


class OrderWithdrawn(DomainEvent):
    reason: str


class ParcelRequested(DomainEvent):
    order: str
    value: Decimal


class ParcelPacked(DomainEvent):
    parcels: Annotated[int, Meta(ge=1)] = 1


class ParcelShipped(DomainEvent):
    carrier: str
    tracking: str


class ParcelDelivered(DomainEvent):
    pass


class GoodsReturned(DomainEvent):
    lines: list[Line]
    refund: Decimal


class OrderRule(Rejected):
    """A rule of the shop rejects a command; nothing is stored."""


class AlreadyPaid(OrderRule):
    pass


class AlreadyWithdrawn(OrderRule):
    pass


class AlreadyPlaced(OrderRule):
    pass


class UnknownProduct(OrderRule):
    pass


class OverWalletLimit(OrderRule):
    pass


class NotPaid(OrderRule):
    pass


class ParcelRule(Rejected):
    """A rule of the warehouse rejects a command; nothing is stored."""


class TooValuable(ParcelRule):
    pass


class Order(Aggregate, category="order"):
    """An order. Its methods with `@applies` say what it is, its commands what may happen to it."""

    total: Decimal = Decimal(0)
    is_paid: bool = False
    is_refunded: bool = False
    is_withdrawn: bool = False

    @applies(OrderReceived)
    def was_received(self, event: OrderReceived) -> None:
        self.total = event.total

    @applies(PaymentReceived)
    def was_paid(self, event: PaymentReceived) -> None:
        self.is_paid = True

    @applies(PaymentRefunded)
    def was_refunded(self, event: PaymentRefunded) -> None:
        self.is_refunded = True

    @applies(OrderWithdrawn)
    def was_withdrawn(self, event: OrderWithdrawn) -> None:
        self.is_withdrawn = True

    @creates
    @command(permission="eventstore_project.place_order")
    def place(self, customer: str, quantities: dict[str, Quantity]) -> Decimal:
        """Place an order for a quantity of each product.

        Returns:
            The total.

        Raises:
            AlreadyPlaced: the order exists.
            UnknownProduct: the shop does not sell a product.
        """
        if self.version:
            raise AlreadyPlaced(f"{self.aggregate_id} has been placed already", code="already-placed")
        if unknown := quantities.keys() - GOODS.keys():
            raise UnknownProduct(
                f"the shop does not sell {', '.join(sorted(unknown))}; it sells {', '.join(GOODS)}",
                code="unknown-product",
            )
        lines = [Line(sku=sku, quantity=quantity, price=GOODS[sku]) for sku, quantity in quantities.items()]
        total = sum((line.price * line.quantity for line in lines), Decimal(0))
        self.record(OrderReceived(customer=customer, lines=lines, total=total, currency="EUR"))
        return total

    @command(permission="eventstore_project.pay_order")
    def pay(self, method: Method) -> None:
        """Pay the whole order.

        Raises:
            AlreadyPaid, AlreadyWithdrawn: the order is over.
            OverWalletLimit: the method is a wallet, and the total is above its limit.
        """
        self._check_is_open()
        if method == "wallet" and self.total > WALLET_LIMIT:
            raise OverWalletLimit(
                f"the wallet holds {WALLET_LIMIT} EUR, and {self.aggregate_id} costs {self.total} EUR; pay by card",
                code="over-wallet-limit",
                data={"limit": str(WALLET_LIMIT)},
            )
        self.record(PaymentReceived(method=method, amount=self.total))

    def decline(self, reason: str) -> None:
        """Record that a bank has declined the payment."""
        self._check_is_open()
        self.record(PaymentDeclined(reason=reason))

    @command(permission="eventstore_project.withdraw_order")
    def withdraw(self, reason: str) -> None:
        """Withdraw an order that is not paid.

        Raises:
            AlreadyPaid, AlreadyWithdrawn: the order is over.
        """
        self._check_is_open()
        self.record(OrderWithdrawn(reason=reason))

    def pack(self) -> None:
        """Record that the warehouse has packed the parcel.

        Raises:
            NotPaid: there is no payment for it.
        """
        self._check_is_paid()
        self.record(ParcelPacked())

    def refund(self, reason: str) -> None:
        """Give the payment back.

        Raises:
            NotPaid: there is no payment to give back.
        """
        self._check_is_paid()
        self.record(PaymentRefunded(amount=self.total, reason=reason))

    def _check_is_paid(self) -> None:
        if not self.is_paid or self.is_refunded:
            raise NotPaid(f"there is no payment for {self.aggregate_id}", code="not-paid")

    def _check_is_open(self) -> None:
        if self.is_paid:
            raise AlreadyPaid(f"{self.aggregate_id} is paid already", code="already-paid")
        if self.is_withdrawn:
            raise AlreadyWithdrawn(f"{self.aggregate_id} has been withdrawn", code="already-withdrawn")


class Parcel(Aggregate, category="parcel"):
    """A parcel of the warehouse."""

    @creates
    def request(self, order: str, value: Decimal) -> None:
        """Request a parcel with the goods of an order.

        Raises:
            TooValuable: no insurance covers it.
        """
        if value > INSURED:
            raise TooValuable(f"a parcel is insured up to {INSURED} EUR, and {order} is worth {value} EUR")
        self.record(ParcelRequested(order=order, value=value))


orders = Repository(Order)
parcels = Repository(Parcel)
