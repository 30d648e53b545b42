"""System checks of event types and aggregates."""

from dataclasses import dataclass
from typing import Any

from django.core.checks import run_checks
from django.db import models

from events.domain import Aggregate, DomainEvent, upcasts


def found() -> list[Any]:
    return [message for message in run_checks() if str(message.id).startswith("events.domain.")]


def test_two_classes_of_one_name_are_an_error_that_names_both_places() -> None:
    def define(**options: Any) -> type[DomainEvent]:
        class Paid(DomainEvent, **options):
            pass

        return Paid

    define()
    define()  # again: a module that is loaded twice
    assert found() == []

    class OrderPaid(DomainEvent, type="Paid"):
        pass

    class Settled(DomainEvent, renamed_from=["Paid"]):
        pass

    (message,) = found()
    assert message.id == "events.domain.E001"
    for place in ("define.<locals>.Paid", "OrderPaid", "Settled"):
        assert place in message.msg


def test_version_without_an_upcaster_is_an_error() -> None:
    class Paid(DomainEvent, version=3):
        pass

    upcasts(Paid, to=2)(lambda data: data)
    (message,) = found()
    assert (message.id, message.hint) == ("events.domain.E002", "Write one: @upcasts(Paid, to=3).")


def test_two_aggregates_of_one_category_are_an_error_that_names_both_places() -> None:
    class Order(Aggregate, category="order"):
        pass

    class Purchase(Aggregate, category="order"):
        pass

    (message,) = found()
    assert message.id == "events.domain.E003"
    assert "'order'" in message.msg
    assert Order.__qualname__ in message.msg
    assert Purchase.__qualname__ in message.msg


class Money:
    """A class without a codec."""


@dataclass
class Card:
    number: str


@dataclass
class Cash:
    amount: int


def test_fields_that_cannot_be_converted_are_an_error_that_says_why() -> None:
    class Priced(DomainEvent):
        prices: dict[str, list[Money]]

    class Paid(DomainEvent):
        by: Card | Cash

    class Sent(DomainEvent):
        parcel: "Parcel"  # type: ignore[name-defined]  # noqa: F821

    class Size(models.TextChoices):
        SMALL = "s"

    class Fine(DomainEvent):
        card: Card
        size: Size = Size.SMALL
        anything: Any = None

    messages = found()
    assert [message.id for message in messages] == ["events.domain.E004"] * 3
    for message, (name, why) in zip(
        messages,
        [
            ("Priced", "Money has no codec"),
            ("Paid", "more than one dataclass"),
            ("Sent", "name 'Parcel' is not defined"),
        ],
        strict=True,
    ):
        assert f"{name} has no JSON Schema" in message.msg
        assert why in message.msg
