"""Forms for payloads."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest

from events.domain import DomainEvent
from events.domain.forms import form_for


class Size(Enum):
    S = "s"
    L = "l"


@dataclass
class Line:
    qty: Annotated[int, msgspec.Meta(ge=1)]


def define() -> Any:
    class Placed(DomainEvent):
        customer: Annotated[str, msgspec.Meta(max_length=5)]
        total: Decimal
        number: Annotated[int, msgspec.Meta(ge=1)] = 1
        share: float | None = None
        day: date | None = None
        at: datetime | None = None
        key: UUID | None = None
        size: Size | None = None
        kind: Literal[1, 2] = 1
        gift: bool = False
        lines: list[Line]

    return Placed


VALID = {
    "customer": "ann",
    "total": "1.50",
    "number": "3",
    "at": "2030-01-31 12:00",
    "day": "2030-01-31",
    "size": "l",
    "kind": "2",
    "gift": "on",
    "lines": '[{"qty": 2}]',
}


def test_valid_form_has_the_payload() -> None:
    placed = define()
    form = form_for(placed)(VALID)
    assert form.is_valid(), form.errors
    assert form.payload == placed(
        customer="ann",
        total=Decimal("1.50"),
        number=3,
        at=datetime(2030, 1, 31, 12, tzinfo=UTC),
        day=date(2030, 1, 31),
        size=Size.L,
        kind=2,
        gift=True,
        lines=[Line(qty=2)],
    )
    assert form.payload_data["total"] == "1.50"
    empty = form_for(placed)()
    assert empty["number"].initial == 1
    assert "null" not in str(empty["lines"])
    assert empty.fields["at"].help_text == "For example 2030-01-31 12:30."
    assert empty.fields["lines"].help_text == 'JSON, for example [{"qty": 1}]'


def test_entered_values_are_shown_again_without_errors() -> None:
    for lines in ('[ {"qty": 0} ]', '[{"qty": 1, "qty": 2}]', "[{"):
        entered = form_for(define())({**VALID, "number": "many", "lines": lines}).entered()
        again = form_for(define())(initial=entered)
        assert 'value="many"' in str(again["number"])
        assert str(again["lines"].value()) == lines
        assert not again.errors


def test_empty_field_gets_its_default_or_none() -> None:
    form = form_for(define())({"customer": "ann", "total": "1", "lines": "[]"})
    assert form.is_valid(), form.errors
    assert (form.payload.number, form.payload.share, form.payload.gift) == (1, None, False)


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("customer", "", "This field is required."),
        ("customer", "too long", "at most 5 characters"),
        ("total", "x", "Enter a number."),
        ("number", "0", "greater than or equal to 1"),
        ("size", "m", "Select a valid choice."),
        ("lines", '[{"qty": 0}]', "[0].qty: expected int ≥ 1"),
        ("lines", "{", "This is not valid JSON: Expecting property name"),
        ("lines", '[{"qty": 1, "qty": 2}]', "occurs twice"),
        ("key", "x", "Enter a valid UUID."),
    ],
)
def test_error_is_at_its_field(name: str, text: str, error: str) -> None:
    form = form_for(define())({**VALID, name: text})
    assert not form.is_valid()
    assert [*form.errors] == [name]
    assert error in str(form.errors[name])


def test_class_that_is_no_event_type_is_rejected() -> None:
    with pytest.raises(TypeError, match="is not registered as an event type"):
        form_for(Line)
