"""The conversion of payloads: what is rejected, and the path in the error."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal, Optional
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from events.domain import DomainEvent, Value, register_codec
from events.domain.codecs import codec_of, members_of, own_codec
from events.exceptions import InvalidEvent


@dataclass
class Line:
    sku: str
    qty: Annotated[int, msgspec.Meta(ge=1)] = 1
    price: Decimal | None = None


class Card(Value):
    number: str


class Cash(Value):
    pass


class Cents:
    def __init__(self, number: int) -> None:
        self.number = number


class Coupon(Cents):
    pass


@dataclass
class Order:
    lines: list[Line] = field(default_factory=list)
    by_sku: dict[str, Line] = field(default_factory=dict)
    nested: dict[str, dict[int, list[Decimal]]] = field(default_factory=dict)
    by: Card | Cash | None = None
    kind: Literal["a", "b"] = "a"
    at: datetime | None = None
    cents: Cents | None = None
    next: Optional["Order"] = None


@pytest.mark.parametrize(
    ("data", "error"),
    [
        ({"lines": [{"sku": "x", "qty": 0}]}, "data.lines[0].qty: expected int ≥ 1"),
        ({"lines": [{"sku": "x", "qty": "1"}]}, "data.lines[0].qty: expected int, got str"),
        ({"lines": [{}]}, "data.lines[0].sku: is missing"),
        ({"lines": {}}, "data.lines: expected array, got object"),
        ({"by_sku": {"a": {"sku": "x"}, "b.[0]": {"sku": 5}}}, "data.by_sku.b.[0].sku: expected str, got int"),
        ({"by_sku": {"a": {"sku": "x"}, "c": {}}}, "data.by_sku.c.sku: is missing"),
        (
            {"nested": {"a": {"1": ["1"]}, "b": {"1": [], "2": ["1", "x"]}}},
            "data.nested.b.2[1]: invalid decimal string",
        ),
        ({"nested": {"a": {"x": []}}}, "data.nested.a: expected int, got str, as a key"),
        (
            {"nested": {str(n): {"1": ["1"] if n != 700 else [True]} for n in range(1000)}},
            "data.nested.700.1[0]: expected decimal, got bool",
        ),
        ({"by": {"type": "Cheque"}}, "data.by.type: invalid value 'Cheque'"),
        ({"by": {"number": "1"}}, "data.by.type: is missing"),
        ({"kind": "c"}, "data.kind: invalid enum value 'c'"),
        ({"at": "2030-01-01T00:00:00"}, "data.at: has no time zone; add one"),
        ({"lines": [{"sku": "x", "price": "NaN"}]}, "data.lines[0].price: is NaN; give a finite number"),
        ({"nested": {"a": {"1": ["Infinity"]}}}, "data.nested.a.1[0]: is Infinity; give a finite number"),
        ({"cents": "x"}, "data.cents: "),
        ({"next": {"next": {"lines": [{"sku": None}]}}}, "data.next.next.lines[0].sku: expected str, got null"),
        ({"unknown": 1}, "data.unknown: is not a field of Order; the fields are: lines, by_sku,"),
        ({"lines": [{"sku": "x", "color": "red"}]}, "data.lines[0].color: is not a field"),
        ([], "data: expected object, got array"),
        (None, "data: expected object, got null"),
    ],
)
def test_data_that_does_not_fit_is_rejected_with_its_path(data: Any, error: str) -> None:
    register_codec(Cents, encode=lambda cents: cents.number, decode=lambda value: Cents(int(value)))
    before = repr(data)
    with pytest.raises(InvalidEvent) as caught:
        codec_of(Order).to_data(data)
    assert str(caught.value).startswith(error)
    assert repr(data) == before, "what the caller gave is not changed"


@dataclass
class Shift:
    at: datetime | None = None
    by_day: dict[str, list[datetime]] = field(default_factory=dict)
    opens: time | None = None


class Meeting(pydantic.BaseModel):
    at: datetime


BEFORE_1893 = datetime(1850, 1, 1, tzinfo=ZoneInfo("Europe/Berlin"))  # 0:53:28 from UTC


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (Shift(at=BEFORE_1893), "data.at"),
        ({"at": BEFORE_1893}, "data.at"),
        (Shift(by_day={"monday": [datetime.now(UTC), BEFORE_1893]}), "data.by_day.monday[1]"),
        (Shift(opens=time(9, tzinfo=timezone(timedelta(seconds=3208)))), "data.opens"),
        (Meeting(at=BEFORE_1893), "data.at"),
    ],
    ids=range(5),
)
def test_moment_that_json_would_change_is_rejected(payload: Any, path: str) -> None:
    codec = codec_of(Shift if isinstance(payload, dict) else type(payload))
    with pytest.raises(
        InvalidEvent, match=rf"^{re.escape(path)}: is 0:53:28 from UTC, and JSON has only whole minutes"
    ):
        codec.to_data(payload)


def test_moment_in_a_zone_of_whole_minutes_is_kept() -> None:
    moment = datetime(2026, 3, 29, 12, tzinfo=ZoneInfo("Asia/Kathmandu"))
    shift = Shift(at=moment, opens=time(9))
    codec = codec_of(Shift)
    assert codec.to_payload(codec.to_data(shift)) == shift


def test_unknown_name_in_a_dictionary_that_is_part_of_an_object_is_rejected() -> None:
    line: Any = {"sku": "x", "color": "red"}
    with pytest.raises(InvalidEvent, match=r"^data.lines\[0\].color: is not a field of Order"):
        codec_of(Order).to_data(Order(lines=[line]))


def test_object_without_a_form_in_json_is_rejected() -> None:
    class Odd(DomainEvent):
        anything: Any

    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value, reason in (
        (object(), "a object has no form in JSON; register one with events.domain.register_codec"),
        (2j, "a complex has no form in JSON"),
        (deep, "is nested too deep; flatten it"),
    ):
        with pytest.raises(InvalidEvent, match=f"data: {reason}"):
            codec_of(Odd).to_data(Odd(anything=value))
    while deep:  # in Python 3.11 the deallocation of so deep a list is slow otherwise
        deep = deep[0]


def test_codec_of_a_class_is_that_of_its_subclasses() -> None:
    register_codec(Cents, encode=lambda cents: cents.number, decode=lambda value: Cents(int(value)))
    assert own_codec(Coupon) is own_codec(Cents)
    assert own_codec(int) is None
    assert codec_of(Order).to_data({"cents": 5})["cents"] == 5
    assert codec_of(Order).to_data(Order(cents=Coupon(7)))["cents"] == 7


def test_class_variables_are_no_members() -> None:
    class Counted(DomainEvent):
        unit: ClassVar[str] = "piece"
        number: int = 0

    assert list(members_of(Counted)) == ["number"]
    assert codec_of(Counted).to_data(Counted()) == codec_of(Counted).to_data({}) == {"number": 0}
    with pytest.raises(InvalidEvent, match=r"data\.unit: is not a field"):
        codec_of(Counted).to_data({"unit": "x"})


def test_members_of_each_kind_of_class() -> None:
    assert list(members_of(Line)) == ["sku", "qty", "price"]
    assert list(members_of(Card)) == ["number"]
    assert members_of(int) == {}
