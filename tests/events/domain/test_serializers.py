"""Serializers for payloads."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from events.domain import DomainEvent
from events.domain.serializers import serializer_for


@dataclass
class Line:
    qty: int


def define() -> Any:
    class Placed(DomainEvent):
        customer: str
        total: Decimal
        lines: list[Line]
        kind: Literal["a", "b"] | None = None

    return Placed


def test_valid_serializer_has_the_payload_and_writes_it() -> None:
    placed = define()
    made = serializer_for(placed)
    serializer = made(data={"customer": "ann", "total": "1.50", "lines": [{"qty": 1}]})
    assert serializer.is_valid(), serializer.errors
    assert serializer.payload == placed(customer="ann", total=Decimal("1.50"), lines=[Line(qty=1)])
    assert made(serializer.payload).data == serializer.validated_data
    assert [name for name, field in made().fields.items() if field.required] == ["customer", "total", "lines"]


def test_error_is_at_its_field() -> None:
    made = serializer_for(define())
    valid = {"customer": "ann", "total": "1.50", "lines": []}
    for name, value, error in (
        ("lines", [{"qty": "x"}], "[0].qty: expected int, got str"),
        ("customer", 5, "expected str, got int"),
        ("other", 5, "is not a field of"),
    ):
        serializer = made(data={**valid, name: value})
        assert not serializer.is_valid()
        where = name if name in made().fields else "non_field_errors"
        assert error in str(serializer.errors[where])
