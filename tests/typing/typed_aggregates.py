"""What a type checker makes of aggregates; read as `public_api` is."""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import assert_type
from uuid import UUID

from events.domain import (
    Aggregate,
    Difference,
    DomainEvent,
    Repository,
    achange_together,
    applies,
    change_together,
    creates,
    decider,
)
from events.exceptions import Rejected
from events.testing import given


class OrderPlaced(DomainEvent):
    customer: str
    total: Decimal


class OrderPaid(DomainEvent):
    method: str


class OrderSent(DomainEvent):
    pass


class AlreadyPaid(Rejected):
    pass


class Order(Aggregate, category="order"):
    customer: str = ""
    paid: bool = False

    @applies(OrderPlaced)
    def was_placed(self, event: OrderPlaced) -> None:
        self.customer = event.customer

    @applies(OrderPaid, OrderSent)
    def moved_on(self, event: OrderPaid | OrderSent) -> None:
        assert_type(event, OrderPaid | OrderSent)

    @applies(OrderPlaced, OrderPaid, OrderSent)
    def any_of_three(self, event: OrderPlaced | OrderPaid | OrderSent) -> None: ...

    @applies("OrderArchived", OrderPlaced)
    def by_name(self, event: object) -> None: ...

    @applies(OrderPaid)  # type: ignore[arg-type]
    def another(self, event: OrderPlaced) -> None: ...

    @applies(OrderPaid, OrderSent)  # type: ignore[arg-type]
    def one_of_two(self, event: OrderPaid) -> None: ...

    @creates
    def place(self, customer: str, *, total: Decimal) -> str:
        self.record(OrderPlaced(customer=customer, total=total))
        return self.id

    def pay(self, method: str, tip: int = 0) -> int:
        if self.paid:
            raise AlreadyPaid(f"{self.aggregate_id} is paid already")
        self.record(OrderPaid(method=method))
        return tip


class Wallet(Aggregate, category="wallet"):
    balance: Decimal = Decimal(0)

    def deposit(self, amount: Decimal) -> None: ...


orders = Repository(Order, using="other", retries=3)
wallets = Repository(Wallet)


def of_one() -> None:
    assert_type(orders, Repository[Order])
    assert_type(orders.get("17"), Order)
    assert_type(orders.get(17, up_to_version=3).paid, bool)
    assert_type(orders.exists("17"), bool)
    assert_type(orders.ids(), Iterator[str])
    assert_type(orders.diff("17", 3, 9), list[Difference])
    order = orders.get("17")
    assert_type(order.id, str)
    assert_type(order.aggregate_id, str)
    assert_type(order.version, int)
    Order(paid="yes")  # type: ignore[arg-type]
    Repository(OrderPaid)  # type: ignore[type-var]
    orders.get(1.5)  # type: ignore[arg-type]
    orders.get("17", as_of="today")  # type: ignore[arg-type]
    order.colour  # type: ignore[attr-defined]  # noqa: B018


def handling(moment: datetime, order_id: UUID) -> None:
    assert_type(orders.handle("17", Order.place, "ann", total=Decimal(5)), str)
    assert_type(orders.handle(order_id, Order.pay, "card"), int)
    assert_type(orders.handle("17", Order.pay, "card", tip=2), int)
    orders.get("17", as_of=moment)
    orders.handle("17", Order.pay)  # type: ignore[call-arg]
    orders.handle("17", Order.pay, 5)  # type: ignore[arg-type]
    orders.handle("17", Order.pay, "card", colour="red")  # type: ignore[call-arg]
    orders.handle("17", Order.place, "ann", Decimal(5))  # type: ignore[call-arg]
    orders.handle("17", Wallet.deposit, Decimal(5))  # type: ignore[arg-type]


def changing() -> None:
    with orders.change("17") as order:
        assert_type(order, Order)
        assert_type(order.pay("card"), int)
    with change_together(orders["17"], wallets["ann"]) as (order, wallet):
        assert_type(order, Order)
        assert_type(wallet, Wallet)
    with change_together(orders["17"], wallets["ann"], orders["18"]) as (order, wallet, another):
        assert_type((order, wallet, another), tuple[Order, Wallet, Order])
    change_together("order-17", "wallet-ann")  # type: ignore[call-overload]


async def from_coroutines() -> None:
    assert_type(await orders.aget("17", up_to_version=3), Order)
    assert_type(await orders.aexists("17"), bool)
    assert_type(orders.aids(), AsyncIterator[str])
    assert_type(await orders.adiff("17", 3, 9), list[Difference])
    assert_type(await orders.ahandle("17", Order.pay, "card"), int)
    async with orders.achange("17") as order:
        assert_type(order, Order)
    async with achange_together(orders["17"], wallets["ann"]) as (order, wallet):
        assert_type(order, Order)
        assert_type(wallet, Wallet)
    await orders.ahandle("17", Order.pay, 5)  # type: ignore[arg-type]


def functional() -> None:
    def evolve(state: Decimal, event: object) -> Decimal:
        return state

    def decide(state: Decimal, command: int) -> list[object]:
        return []

    counted = decider("counter", initial=Decimal(0), evolve=evolve, decide=decide)
    assert_type(Repository(counted).get("17").state, Decimal)
    Repository(counted).handle("17", counted.execute, 5)
    Repository(counted).handle("17", counted.execute, "5")  # type: ignore[arg-type]


def testing() -> None:
    given(Order, OrderPlaced(customer="ann", total=Decimal(5))).when(Order.pay, "card").then(OrderPaid(method="card"))
    given(Order).when(Order.pay, "card", tip=2).rejected(AlreadyPaid).state(paid=True)
    given(Order).when(Order.pay, 5)  # type: ignore[arg-type]
    given(Order).when(Wallet.deposit, Decimal(5))  # type: ignore[arg-type]
    as_it_was: Callable[[Order, str], int] = Order.pay
    as_it_was(orders.get("17"), "card")
