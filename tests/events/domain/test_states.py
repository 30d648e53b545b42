"""Cases 14 and 16 of the domain toolkit: a state comes back from JSON exactly, or not at all."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from django.db import models
from django.utils import timezone

from events.domain import Aggregate, Value, register_codec
from events.domain.aggregates import state_of
from events.domain.differences import differences
from events.domain.states import NotExact, StateCodec
from events.exceptions import InvalidEvent


@dataclass
class Cart:
    lines: list[int] = field(default_factory=list)


def kept(annotation: Any, value: Any) -> Any:
    """Return an aggregate with a field of a type."""

    class Kept(Aggregate, category="kept"):
        value: annotation = None
        other: Any = None

    aggregate = Kept.blank("kept-1")
    aggregate.value = value
    return aggregate


def test_state_of_each_kind_comes_back_exactly() -> None:
    class Amount:
        def __init__(self, cents: int) -> None:
            self.cents = cents

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Amount) and self.cents == other.cents

    class Paper(Value):
        size: int

    class Cloth(Value):
        colour: str

    class Size(models.TextChoices):
        SMALL = "s"

    register_codec(Amount, encode=lambda amount: amount.cents, decode=Amount)
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    for annotation, value in (
        (Decimal, Decimal("1.500")),
        (datetime, moment),
        (datetime, moment.astimezone(timezone.get_fixed_timezone(90))),
        (date | None, moment.date()),
        (timedelta, timedelta(days=400, microseconds=1)),
        (UUID, uuid4()),
        (Size, Size.SMALL),
        (dict[int, list[Cart]], {7: [Cart([1]), Cart()], -1: []}),
        (dict[UUID, tuple[str, ...]], {uuid4(): ("b", "a")}),
        (set[str], {"b", "a"}),
        (frozenset[int], frozenset({2, 1})),
        (list[Paper | Cloth], [Cloth(colour="red"), Paper(size=4)]),
        (Amount, Amount(5)),
        (list[Amount | None], [Amount(5), None]),
        (int, 2**70),
        (float, 1e-300),
        (str, 'a\0\u2028"😀'),
        (bytes, b"\0\xff"),
        (Any, {"a": [1, 2.5, None, True]}),
    ):
        aggregate = kept(annotation, value)
        codec = StateCodec(type(aggregate))
        restored = codec.to_aggregate("kept-1", codec.to_text(aggregate))
        assert differences(state_of(aggregate), state_of(restored)) == [], (annotation, value)
        assert (restored.aggregate_id, restored.version) == ("kept-1", 0)


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (Decimal, 5, "value: 5 -> Decimal('5')"),
        (list[int], (1, 2), "value: (1, 2) -> [1, 2]"),
        (float, float("nan"), "its state has no exact form in JSON: "),
        (Any, object(), "a object has no form in JSON"),
        (Any, Cart([1]), "value: Cart(lines=[1]) -> {'lines': [1]}"),
        (datetime, timezone.localtime(timezone=ZoneInfo("Asia/Tokyo")), "value: datetime"),
        (list[int], [1, "2", "3", "4", "5"], "its state has no exact form in JSON: "),
        (list[float], [1, 2, 3, 4, 5], "value[2]: 3 -> 3.0; and 2 more"),
    ],
)
def test_state_that_would_not_come_back_exactly_is_rejected_with_the_reason(
    annotation: Any, value: Any, reason: str
) -> None:
    aggregate = kept(annotation, value)
    with pytest.raises(NotExact, match=re.escape(reason)):
        StateCodec(type(aggregate)).to_text(aggregate)


def test_what_json_cannot_say_is_rejected() -> None:
    aggregate = kept(list[int], [1])
    aggregate.note = "x"
    with pytest.raises(NotExact, match="it has what a snapshot would lose: note"):
        StateCodec(type(aggregate)).to_text(aggregate)
    shared = kept(list[int], [1])
    shared.other = shared.value
    with pytest.raises(NotExact, match=r"are one object"):
        StateCodec(type(shared)).to_text(shared)
    marked = kept(list[Cart], [Cart(), Cart()])
    marked.value[1].note = "lost"
    with pytest.raises(NotExact, match=r"value\[1\].note is not a field"):
        StateCodec(type(marked)).to_text(marked)


def test_field_without_a_form_in_json_is_an_error_of_the_class() -> None:
    class Own:
        pass

    for annotation, reason in (
        (list[Own], r"Kept.value has no form in JSON: .*Own has no codec"),
        (Own | int | Cart, r"Kept.value has no form in JSON: Type unions"),
    ):
        with pytest.raises(InvalidEvent, match=rf"snapshot_every: .*{reason}"):
            StateCodec(type(kept(annotation, None)))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"value": "x", "other": 1}', '{"value": 1, "other": 1, "more": 1}'])
def test_text_that_does_not_fit_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        StateCodec(type(kept(int, 1))).to_aggregate("kept-1", text)
