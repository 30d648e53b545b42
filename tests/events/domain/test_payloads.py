"""Typed events: what users write, and what is stored and read."""

import json
from dataclasses import field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

import attrs
import msgspec
import pydantic
import pytest
from django.db.models import TextChoices
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy

from events.domain import DomainEvent, Value, event_type, register_codec, upcasts
from events.exceptions import InvalidEvent, UnreadableEvent
from events.models import Event
from events.store import EventStore
from events.types import NewEvent

pytestmark = pytest.mark.django_db


class Colour(Enum):
    RED = "red"


class Size(TextChoices):
    LARGE = "L", "large"


class Card(Value):
    number: str


class Cash(Value):
    pass


class Money:
    """A class that payloads do not know by themselves."""

    def __init__(self, cents: int, currency: str) -> None:
        self.cents, self.currency = cents, currency

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Money) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash(self.cents)


def reread(event: Event) -> Event:
    return Event.objects.get(pk=event.pk)


def test_payload_is_stored_as_json_and_read_as_an_object(store: EventStore) -> None:
    class OrderPlaced(DomainEvent):
        customer: str
        total: Decimal

    placed = OrderPlaced(customer="ann", total=Decimal("5.10"))
    (stored,) = store.dispatch(NewEvent("order-1", placed))
    for event in (stored, reread(stored), *store.read_all(), *store.get_events_for_aggregate("order-1")):
        assert event.payload == placed
        assert (event.type, event.stored_type) == ("OrderPlaced", "OrderPlaced")
        assert event.data == event.stored_data == {"customer": "ann", "total": "5.10"}
        assert event.metadata == {}, "the first version needs no mark"
    (by_hand,) = store.dispatch(NewEvent("order-2", "OrderPlaced", {"customer": "ann", "total": 5.1}))
    assert by_hand.data == {"customer": "ann", "total": "5.1"}
    assert by_hand.payload == OrderPlaced(customer="ann", total=Decimal("5.1"))


def test_values_come_back_exactly(store: EventStore) -> None:
    @attrs.frozen
    class Place:
        name: str
        floors: tuple[int, ...] = ()

    register_codec(Money, encode=lambda money: [money.cents, money.currency], decode=lambda value: Money(*value))

    class Everything(DomainEvent):
        amount: Decimal
        day: date
        moment: datetime
        key: UUID
        colour: Colour
        size: Size
        kind: Literal["a", "b"]
        place: Place
        price: Money
        by: Card | Cash
        names: list[str]
        prices: dict[str, Decimal]
        numbers: dict[int, str]
        tags: frozenset[str]
        lasts: timedelta
        content: bytes
        note: str | None = None
        count: Annotated[int, msgspec.Meta(ge=1)] = 1
        anything: Any = None

    payload = Everything(
        amount=Decimal("0.10"),
        day=date(2030, 1, 31),
        moment=datetime(2030, 1, 31, 12, 0, 0, 1, timezone(timedelta(hours=2))),
        key=uuid4(),
        colour=Colour.RED,
        size=Size.LARGE,
        kind="b",
        place=Place("here", (1, 2)),
        price=Money(5, "EUR"),
        by=Card(number="4242"),
        names=["x"],
        prices={"a": Decimal("1E+3")},
        numbers={1: "one"},
        tags=frozenset({"t"}),
        lasts=timedelta(days=1, seconds=2),
        content=b"\0\xff",
        anything={"deep": [1, None]},
    )
    (stored,) = store.dispatch(NewEvent("a-1", payload))
    assert reread(stored).payload == payload
    assert reread(stored).payload.moment.utcoffset() == timedelta(hours=2)
    json.dumps(stored.data)


def test_texts_of_django_are_texts(store: EventStore) -> None:
    class Named(DomainEvent):
        name: str
        title: str

    (stored,) = store.dispatch(NewEvent("a-1", Named(name=SafeString("x"), title=gettext_lazy("Yes"))))  # type: ignore[arg-type]
    assert reread(stored).data == {"name": "x", "title": "Yes"}
    assert type(stored.payload.name) is str


def test_default_of_the_day_is_stored(store: EventStore) -> None:
    """Otherwise another default, later, would change what has happened."""

    class Shipped(DomainEvent):
        carrier: str = "post"
        parcels: list[Card] = field(default_factory=list)

    for payload in (Shipped(), {}):
        event = NewEvent("a-1", payload) if isinstance(payload, Shipped) else NewEvent("a-1", "Shipped", payload)
        (stored,) = store.dispatch(event)
        assert reread(stored).data == {"carrier": "post", "parcels": []}


@attrs.frozen(kw_only=True)
class Opened:
    owner: str
    limit: Decimal = Decimal(0)


class Deposited(msgspec.Struct, frozen=True, kw_only=True):
    amount: Decimal
    at: datetime | None = None


class Closed(pydantic.BaseModel):
    reason: str
    at: datetime | None = None


def test_classes_of_other_libraries(store: EventStore) -> None:
    for cls in (Opened, Deposited, Closed):
        event_type(f"account-{cls.__name__.lower()}")(cls)
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    payloads = [Opened(owner="ann"), Deposited(amount=Decimal(5), at=moment), Closed(reason="moved", at=moment)]
    stored = store.dispatch(*[NewEvent("account-1", payload) for payload in payloads])
    assert [event.type for event in stored] == ["account-opened", "account-deposited", "account-closed"]
    assert [reread(event).payload for event in stored] == payloads
    for bad, path in [
        (NewEvent("account-1", "account-opened", {"owner": 5}), "data.owner"),
        (NewEvent("account-1", "account-deposited", {}), "data.amount"),
        (NewEvent("account-1", "account-deposited", {"amount": "1", "at": "2030-01-01T00:00:00"}), "data.at"),
        (NewEvent("account-1", "account-closed", {"reason": None}), "data.reason"),
        (NewEvent("account-1", "account-closed", {"reason": "x", "why": "y"}), "data.why"),
        (NewEvent("account-1", Closed(reason="x", at=moment.replace(tzinfo=None))), "data.at"),
    ]:
        with pytest.raises(InvalidEvent) as caught:
            store.dispatch(bad)
        assert caught.value.field == path
    assert Event.objects.count() == 3


def test_payload_that_does_not_fit_is_rejected_with_its_path(store: EventStore) -> None:
    @attrs.frozen
    class Line:
        sku: str
        qty: Annotated[int, msgspec.Meta(ge=1)]

    class OrderPlaced(DomainEvent):
        total: Decimal
        lines: list[Line]
        at: datetime | None = None
        rates: dict[str, Decimal] = field(default_factory=dict)

    good: dict[str, Any] = {"total": "5", "lines": [{"sku": "a", "qty": 1}]}
    naive = datetime(2030, 1, 1)
    for change, path, words in [
        ({"lines": [{"sku": "a", "qty": 0}]}, "data.lines[0].qty", "expected int ≥ 1"),
        ({"lines": [{"sku": "a", "qty": "1"}]}, "data.lines[0].qty", "expected int, got str"),
        ({"lines": [{"sku": "a"}]}, "data.lines[0].qty", "is missing"),
        ({"lines": [{"sku": "a", "qty": 1, "q": 1}]}, "data.lines[0].q", "is not a field"),
        ({"totl": 5}, "data.totl", "is not a field of"),
        ({"total": "NaN"}, "data.total", "finite"),
        ({"total": Decimal("-Infinity")}, "data.total", "finite"),
        ({"rates": {"eur": Decimal("NaN")}}, "data.rates.eur", "finite"),
        ({"total": object()}, "data", "register_codec"),
        ({"at": naive}, "data.at", "has no time zone"),
        ({"at": "2030-01-01T00:00:00"}, "data.at", "has no time zone"),
    ]:
        with pytest.raises(InvalidEvent, match=words) as caught:
            store.dispatch(NewEvent("order-1", "OrderPlaced", good), NewEvent("order-1", "OrderPlaced", good | change))
        assert (caught.value.field, caught.value.index) == (path, 1)
    for payload, path in [
        (OrderPlaced(total=Decimal("NaN"), lines=[]), "data.total"),
        (OrderPlaced(total="x", lines=[]), "data.total"),  # type: ignore[arg-type]
        (OrderPlaced(total=Decimal(1), lines=[], at=naive), "data.at"),
        (OrderPlaced(total=Decimal(1), lines=[Line("a", 0)]), "data.lines[0].qty"),
    ]:
        with pytest.raises(InvalidEvent) as caught:
            store.dispatch(NewEvent("order-1", payload))
        assert caught.value.field == path
    with pytest.raises(InvalidEvent, match="beside a payload"):
        NewEvent("order-1", OrderPlaced(total=Decimal(1), lines=[]), {"total": 1})  # type: ignore[call-overload]
    assert not Event.objects.exists()


def test_class_that_is_not_registered_is_rejected(store: EventStore) -> None:
    @attrs.frozen
    class Stranger:
        name: str

    for use in (
        lambda: store.dispatch(NewEvent("a-1", Stranger("x"))),
        lambda: store.dispatch(NewEvent("a-1", Stranger)),
        lambda: list(store.read_all(types=[Stranger])),
        lambda: list(store.read_all(types=Stranger)),
        lambda: store.subscribe(Stranger, lambda **kwargs: None),
    ):
        with pytest.raises(InvalidEvent):
            use()
    with pytest.raises(TypeError, match="not registered"):
        upcasts(Stranger, to=2)
    assert not Event.objects.exists()


def test_unknown_types_can_be_rejected(store: EventStore, settings: Any) -> None:
    class Known(DomainEvent):
        pass

    store.dispatch(NewEvent("a-1", "Unknown"))
    settings.EVENTS_UNKNOWN_TYPES = "reject"
    with pytest.raises(InvalidEvent, match="EVENTS_UNKNOWN_TYPES") as caught:
        store.dispatch(NewEvent("a-1", Known()), NewEvent("a-1", "Unkown"))
    assert (caught.value.field, caught.value.index) == ("type", 1)
    store.dispatch(NewEvent("a-1", "Known"))
    assert [event.type for event in store.read_all()] == ["Unknown", "Known"], "what is stored is read"


def test_types_are_selected_by_class(store: EventStore) -> None:
    class One(DomainEvent):
        pass

    class Two(DomainEvent, type="two"):
        pass

    store.dispatch(NewEvent("a-1", One()), NewEvent("a-1", Two()), NewEvent("a-1", "Three"))
    for types, found in [
        (One, ["One"]),
        ([One, Two], ["One", "two"]),
        ((Two, "Three"), ["two", "Three"]),
        (["One"], ["One"]),
    ]:
        assert [event.type for event in store.read_all(types=types)] == found
    assert len(b"".join(store.export(types=Two)).splitlines()) == 1
    seen: list[Any] = []

    def handler(event: Event, **kwargs: Any) -> None:
        seen.append(event.payload)

    with store.subscribe(Two, handler):
        store.dispatch(NewEvent("a-1", One()), NewEvent("a-1", Two()))
    assert seen == [Two()]
    assert store.unsubscribe(Two, handler) is False


def test_definitions_that_cannot_hold_are_errors_at_once() -> None:
    with pytest.raises(TypeError, match="whole number from 1"):

        class A(DomainEvent, version=0):
            pass

    with pytest.raises(TypeError, match="renamed_from is a string"):

        class B(DomainEvent, renamed_from="b"):
            pass

    with pytest.raises(InvalidEvent, match="control character"):

        class C(DomainEvent, type="c\n"):
            pass

    with pytest.raises(InvalidEvent, match="type: is empty"):

        class E(DomainEvent, type=""):
            pass

    class D(DomainEvent, version=2):
        pass

    for to in (1, 3):
        with pytest.raises(TypeError, match="versions 1 to 2"):
            upcasts(D, to=to)
    upcasts(D, to=2)(lambda data: data)
    with pytest.raises(TypeError, match="already"):

        @upcasts(D, to=2)
        def again(data: dict[str, Any]) -> dict[str, Any]:
            return data


def test_abstract_base_has_fields_and_is_no_event_type(store: EventStore) -> None:
    class Audited(DomainEvent, abstract=True):
        reason: str

    class Blocked(Audited):
        until: date

    (stored,) = store.dispatch(NewEvent("a-1", Blocked(reason="x", until=date(2030, 1, 1))))
    assert stored.data == {"reason": "x", "until": "2030-01-01"}
    with pytest.raises(InvalidEvent):
        store.dispatch(NewEvent("a-1", Audited(reason="x")))


def test_payload_of_data_that_sql_stored_is_unreadable(store: EventStore) -> None:
    store.dispatch(NewEvent("a-1", "Counted", {"count": "many"}))

    class Counted(DomainEvent):
        count: int

    (event,) = store.read_all()
    assert event.data == {"count": "many"}
    with pytest.raises(UnreadableEvent, match=r"data\.count: expected int, got str") as caught:
        event.payload  # noqa: B018
    assert (caught.value.type, caught.value.version, caught.value.position) == ("Counted", 1, event.position)
