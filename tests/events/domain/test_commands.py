"""Commands that are open to users: their arguments and their permissions."""

from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.checks import run_checks

from events.domain import Aggregate, command, creates
from events.domain.commands import commands_of, commands_of_aggregate, create_permissions
from events.exceptions import InvalidEvent


class Size(Enum):
    LARGE = "large"


def define(permission: str = "events.resize_order") -> Any:
    class Order(Aggregate, category="order"):
        @command(permission=permission)
        @creates
        def resize_all(self, size: Size, factor: Decimal = Decimal(1), /, note: str | None = None) -> Any:
            """Change the size.

            More about it.
            """
            return size, factor, note

        @creates
        @command(permission=permission)
        def start(self) -> str:
            return "started"

    return Order


def test_commands_are_found_with_their_texts() -> None:
    order = define()
    found = commands_of(order)
    assert list(found) == ["resize_all", "start"]
    assert (found["resize_all"].title, found["resize_all"].description) == ("Resize all", "Change the size.")
    assert [each.creates for each in found.values()] == [True, True]
    assert commands_of_aggregate("order-1") == found
    assert commands_of_aggregate("other-1") == {}


def test_arguments_are_read_from_json_by_their_annotations() -> None:
    order = define()
    found = commands_of(order)["resize_all"]
    arguments = found.arguments({"size": "large", "factor": "1.5"})
    assert arguments == {"size": Size.LARGE, "factor": Decimal("1.5"), "note": None}
    assert found.call(order(), arguments) == (Size.LARGE, Decimal("1.5"), None)
    for wrong, error in (({"size": "small"}, "size: invalid enum value"), ({}, "size: is missing"), ([], "body: ")):
        with pytest.raises(InvalidEvent, match=error):
            found.arguments(wrong)


@pytest.mark.django_db
def test_migrate_creates_the_permissions_once() -> None:
    define()
    for _ in range(2):
        create_permissions("default")
    (made,) = Permission.objects.filter(codename="resize_order")
    assert made.content_type.app_label == "events"
    assert made.name == "Can run the command resize_all of order"


@pytest.mark.parametrize(
    ("permission", "reason"),
    [
        ("", "has no permission, so nobody may run it"),
        ("resize", "has the permission 'resize'"),
        ("nowhere.resize", "no app has the label 'nowhere'"),
    ],
)
def test_command_without_a_right_permission_is_an_error_of_check(permission: str, reason: str) -> None:
    define(permission)
    messages = [each for each in run_checks() if each.id == "events.domain.E005"]
    assert len(messages) == 2
    assert reason in messages[0].msg
    create_permissions("default") if permission == "" else None
    assert not commands_of_aggregate("order-1")["start"].is_allowed(None)


def test_parameters_that_json_cannot_give_are_an_error_of_check() -> None:
    class Order(Aggregate, category="order"):
        @command(permission="events.x")
        def one(self, *several: int) -> None: ...

        @command(permission="events.x")
        def two(self, what: "Missing") -> None:  # type: ignore[name-defined]  # noqa: F821
            ...

        @command(permission="events.x")
        def three(self, what: complex) -> None: ...

    messages = [each.msg for each in run_checks() if each.id == "events.domain.E005"]
    assert len(messages) == 3
    for message, reason in zip(messages, ("several arguments", "'Missing' is not defined", "complex"), strict=True):
        assert reason in message
