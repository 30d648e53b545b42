"""Aggregate classes: their state, their appliers, and what they record."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from events.domain import Aggregate, DomainEvent, applies, creates
from events.domain.aggregates import defined
from events.exceptions import AggregateNotFound, InvalidEvent

from . import shop


def test_recorded_event_is_applied_at_once_as_a_read_returns_it() -> None:
    defined_ = shop.define()
    order = defined_.Order()
    order.place("ann", 5)  # not a Decimal
    assert order.total == Decimal(5)
    assert isinstance(order.total, Decimal)
    assert order.recorded == [defined_.OrderPlaced(customer="ann", total=Decimal(5))]
    with pytest.raises(InvalidEvent, match=r"data\.total: expected decimal, got array"):
        order.place("ann", [])
    assert len(order.recorded) == 1


def test_record_takes_a_moment_and_metadata() -> None:
    class Noted(DomainEvent):
        pass

    class Notebook(Aggregate, category="notebook"):
        @creates
        def note(self) -> None:
            self.record(Noted(), timestamp=datetime(2026, 1, 1, tzinfo=UTC), metadata={"source": "import"})

    notebook = Notebook()
    notebook.note()
    (recorded,) = notebook._work.recorded
    assert (recorded.event.timestamp, recorded.event.metadata) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        {"source": "import"},
    )


def test_only_a_creating_command_begins_an_aggregate() -> None:
    order = shop.define().Order.blank("order-7")
    with pytest.raises(AggregateNotFound, match="there is no aggregate 'order-7'"):
        order.pay("card")
    order.place("ann", Decimal(1))
    order.pay("card")


def test_applier_that_records_is_an_error() -> None:
    class Noted(DomainEvent):
        pass

    class Notebook(Aggregate, category="notebook"):
        @applies(Noted)
        def was_noted(self, event: Any) -> None:
            self.record(Noted())

        @creates
        def note(self) -> None:
            self.record(Noted())

    with pytest.raises(
        RuntimeError, match=r"Notebook records an event while it applies one.*; record it in the command"
    ):
        Notebook().note()


def test_object_without_an_event_type_is_rejected() -> None:
    class Notebook(Aggregate, category="notebook"):
        @creates
        def note(self, what: object) -> None:
            self.record(what)

    for wrong in ({"a": 1}, "Noted", object(), Notebook):
        with pytest.raises(InvalidEvent, match=r"payload: is a .*, which is not an event type; record an object"):
            Notebook().note(wrong)


def test_appliers_are_inherited_and_may_take_several_types_and_names() -> None:
    class Added(DomainEvent, renamed_from=["Increased"]):
        amount: int

    class Removed(DomainEvent):
        amount: int

    class Counting(Aggregate, abstract=True):
        events: int = 0

        @applies(Added, Removed, "Noted")
        def count(self, event: Any) -> None:
            self.events += 1

    class Stock(Counting, category="stock"):
        amount: int = 0

        @applies(Added)
        def add(self, event: Any) -> None:
            self.amount += event.amount

        @creates
        def change(self) -> None:
            self.record(Added(amount=3), Removed(amount=1))

    stock = Stock()
    stock.change()
    stock.apply("Noted", {"text": "untyped"})
    assert (stock.events, stock.amount) == (3, 3)
    assert Stock.appliers == {"Added": ("count", "add"), "Removed": ("count",), "Noted": ("count",)}
    assert defined() == [Stock], "an abstract class is none"


def test_mistakes_in_a_class_are_errors_at_its_definition() -> None:
    with pytest.raises(TypeError, match="has no default; give it the value before the first event"):

        class WithoutDefault(Aggregate, category="a"):
            total: int

    with pytest.raises(TypeError, match="version hides a name of Aggregate; give the field another name"):

        class Hiding(Aggregate, category="a"):
            version: int = 0  # type: ignore[misc]

    with pytest.raises(TypeError, match=r"has no category; write class Nameless\(Aggregate, category=…\)"):

        class Nameless(Aggregate):
            pass

    for wrong, reason in (("a-b", "has a dash"), ("a\n", "control character"), ("x" * 256, "characters")):
        with pytest.raises(InvalidEvent, match=f"category: .*{reason}"):

            class Wrong(Aggregate, category=wrong):
                pass

    with pytest.raises(InvalidEvent, match="the class int is not registered"):

        class Applying(Aggregate, category="a"):
            @applies(int)
            def was(self, event: Any) -> None:
                pass

    with pytest.raises(TypeError, match="no event type"):
        applies()
    assert defined() == []


def test_aggregates_with_equal_states_are_equal_and_shown_by_their_state() -> None:
    order = shop.define().Order
    assert order.blank("order-1") == order.blank("order-1")
    assert repr(order()).endswith("Order(customer='', total=Decimal('0'), paid=False)")
