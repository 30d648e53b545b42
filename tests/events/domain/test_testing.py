"""given, when, then."""

from decimal import Decimal
from typing import Any

import pytest

from events import decoding
from events.domain import Aggregate, DomainEvent, creates
from events.domain.aggregates import defined
from events.exceptions import AggregateNotFound, InvalidEvent
from events.testing import given, isolated_registry

from . import shop
from .shop import AlreadyPaid


@pytest.fixture
def of() -> Any:
    return shop.define()


def test_commands_are_tested_without_a_database(of: Any) -> None:
    placed = of.OrderPlaced(customer="ann", total=5)
    given(of.Order).when(of.Order.place, "ann", total=5).then(placed).returned("placed 1").state(customer="ann")
    given(of.Order, placed).when(of.Order.pay, "card").then(of.OrderPaid(method="card")).state(
        paid=True, total=Decimal(5)
    )
    paid = given(of.Order, placed, of.OrderPaid(method="card"), id="17")
    paid.when(of.Order.pay, "card").rejected(AlreadyPaid, match="order-17 is paid").state(paid=True)
    paid.when(of.Order.pay, "card").rejected(AlreadyPaid).then()
    given(of.Order).when(of.Order.pay, "card").rejected(AggregateNotFound)
    two = given(of.Order).when(of.Order.place, "ann", 5).when(of.Order.pay, "card")
    two.then(of.OrderPaid(method="card")), "of the last command alone"
    given(of.Order, placed).when(lambda order: order.customer).then().returned("ann")


def test_what_is_otherwise_than_expected_fails(of: Any) -> None:
    placed, paid = of.OrderPlaced(customer="ann", total=5), of.OrderPaid(method="card")
    paying = given(of.Order, placed).when(of.Order.pay, "card")
    again = given(of.Order, placed, paid).when(of.Order.pay, "card")
    for assertion in (
        lambda: paying.then(),
        lambda: paying.then(of.OrderPaid(method="cash")),
        lambda: paying.then(paid, paid),
        lambda: paying.rejected(AlreadyPaid),
        lambda: paying.state(paid=False),
        lambda: paying.returned("something"),
        lambda: again.rejected(ValueError),
        lambda: again.rejected(AlreadyPaid, match="something else"),
    ):
        with pytest.raises(AssertionError):
            assertion()
    for wrong in (lambda: again.then(), lambda: again.state(paid=True), lambda: again.when(of.Order.pay, "card")):
        with pytest.raises(AlreadyPaid):
            wrong()
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        given(of.Order, placed).when(of.Order.pay)
    with pytest.raises(InvalidEvent, match=r"data\.total: expected decimal, got array"):
        given(of.Order, of.OrderPlaced(customer="ann", total=[]))
    with pytest.raises(AttributeError):
        paying.state(unknown=1)


def test_state_that_changes_outside_of_appliers_is_reported() -> None:
    class Noted(DomainEvent):
        pass

    class Notebook(Aggregate, category="notebook"):
        notes: int = 0

        @creates
        def forget_itself(self) -> None:
            self.notes += 1
            self.record(Noted())

        @creates
        def remember_more(self) -> None:
            self.undeclared = True

    with pytest.raises(AssertionError, match=r"outside a method with @applies.*: notes: 0 -> 1"):
        given(Notebook).when(Notebook.forget_itself)
    with pytest.raises(AssertionError, match="undeclared is not a field"):
        given(Notebook).when(Notebook.remember_more)


def test_registry_forgets_what_a_test_defines() -> None:
    with isolated_registry():
        of = shop.define()
        assert decoding.types["OrderPaid"].name == "OrderPaid"
        assert defined() == [of.Order]
    assert "OrderPaid" not in decoding.types
    assert decoding.type_of(of.OrderPaid) is None
    assert defined() == []
