"""The catalogue of event types."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

import pytest

from events.domain import Aggregate, DomainEvent, applies, catalogue, creates
from events.store import EventStore
from events.types import ALL, NewEvent
from projections import registry
from projections.base import Projection, handles
from tests.support import new


@dataclass
class Line:
    sku: str


def define() -> Any:
    class OrderPlaced(DomainEvent, renamed_from=["OrderSubmitted"]):
        """A customer has placed an order."""

        customer: str
        total: Decimal = Decimal("1.50")
        lines: list[Line] | None = None
        kind: Literal["a", "b|c"] = "a"

    class Empty(DomainEvent):
        pass

    class Order(Aggregate, category="order"):
        @applies(OrderPlaced)
        def was_placed(self, event: Any) -> None:
            isinstance(event, OrderPlaced)

        @creates
        def place(self, customer: str) -> None:
            self.record(*[OrderPlaced(customer=name) for name in [customer]])

        def leave(self) -> None:
            pass

    return OrderPlaced


def on_placed(event: Any, **kwargs: Any) -> None:
    pass


@pytest.mark.django_db
def test_entry_has_fields_commands_consumers_and_numbers(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("order-1", "OrderSubmitted", data={"customer": "ann"}), new("order-1", "Odd"))
    placed = define()
    store.dispatch(NewEvent("order-2", placed(customer="bob")))
    monkeypatch.setattr(registry, "_classes", [])

    @registry.register
    class Totals(Projection):
        name = "totals"

        @handles("OrderSubmitted")
        def add(self, event: Any) -> None: ...

    with store.subscribe(placed, on_placed), store.subscribe(ALL, on_placed, on_commit=True):
        empty, entry = catalogue.entries("default")
    assert [(each.name, each.type, each.default) for each in entry.fields] == [
        ("customer", "string", None),
        ("total", "decimal", '"1.50"'),
        ("lines", "list of Line or null", "null"),
        ("kind", "'a' or 'b|c'", '"a"'),
    ]
    assert (entry.appended_by, entry.applied_by) == (["Order.place"], ["Order"])
    assert [(each.kind, each.name.rpartition(".")[2], each.is_of_all) for each in entry.consumers] == [
        ("subscriber", "on_placed", False),
        ("subscriber", "on_placed", True),
        ("projection", "totals", False),
    ]
    assert (empty.fields, empty.appended_by, empty.applied_by, len(empty.consumers)) == ([], [], [], 1)
    counts = catalogue.counts("default")
    assert counts.by_name == {"OrderPlaced": 2, "Odd": 1}
    assert [counts.shown(name) for name in ("OrderPlaced", "Empty")] == ["2", "0"]
    text = catalogue.as_markdown([empty, entry], counts)
    assert "## OrderPlaced\n\nVersion 1 of `tests.events.domain.test_catalogue.define.<locals>.OrderPlaced`." in text
    assert "Earlier names: `OrderSubmitted`.\n\nA customer has placed an order.\n\n| Field | Type | Default |" in text
    assert "| `kind` | 'a' or 'b\\|c' | `\"a\"` |" in text
    assert text.endswith("- Projections: `totals`\n- Stored: 2\n")
    assert "Stored" not in catalogue.as_markdown([empty, entry])


def test_numbers_of_a_large_store_are_estimates() -> None:
    counts = catalogue.Counts({"Placed": 12_000}, is_estimate=True)
    assert [counts.shown(name) for name in ("Placed", "Rare")] == ["about 12,000", "few or none"]
