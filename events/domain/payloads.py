"""How users write typed events: `DomainEvent`, `event_type` for classes of other libraries, and `upcasts`."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, TypeVar, dataclass_transform

from .event_types import Upcaster, define, type_of

PayloadClass = TypeVar("PayloadClass", bound=type[Any])
AnyUpcaster = TypeVar("AnyUpcaster", bound=Upcaster)


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class DomainEvent:
    """The base class of payloads: each subclass is a frozen, keyword-only dataclass, and an event type.

    class OrderPlaced(DomainEvent, version=2, renamed_from=["OrderSubmitted"]):
        customer: str
        total: Decimal

    Args of a subclass:
        version: raise it when data in the table no longer fits the fields, and write an upcaster with `upcasts`.
        type: the name of the event type; None for the name of the class.
        renamed_from: the names under which earlier events of the type are stored.
        abstract: whether the class is only a base of others, and not an event type.

    Raises:
        InvalidEvent: a name is not valid as an event type.
        TypeError: the version is not a whole number from 1 up.
    """

    def __init_subclass__(
        cls,
        *,
        version: int = 1,
        type: str | None = None,  # noqa: A002
        renamed_from: Collection[str] = (),
        abstract: bool = False,
    ) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)
        if not abstract:
            define(cls, name=type, version=version, renamed_from=renamed_from)


def event_type(
    type: str | None = None,  # noqa: A002
    *,
    version: int = 1,
    renamed_from: Collection[str] = (),
) -> Callable[[PayloadClass], PayloadClass]:
    """Register a class of another library as an event type: a dataclass, an attrs class, a Struct or a pydantic model.

    Args:
        type, version, renamed_from: as `DomainEvent` has them.
    """

    def decorator(payload_class: PayloadClass) -> PayloadClass:
        define(payload_class, name=type, version=version, renamed_from=renamed_from)
        return payload_class

    return decorator


def upcasts(payload_class: type[Any], *, to: int) -> Callable[[AnyUpcaster], AnyUpcaster]:
    """Mark the function that makes data of version `to` from data of the version before.

    It takes the stored JSON data, and returns the data of the next version. It must return the same for the same data,
    because each read calls it again.

    Raises:
        TypeError: the class is not an event type, has no such version, or has an upcaster to it already.
    """
    registered = type_of(payload_class)
    if not 2 <= to <= registered.version:
        raise TypeError(
            f"upcasts(to={to}): {registered.name} has the versions 1 to {registered.version}; give 2 to"
            f" {registered.version}, or raise the version of the class"
        )

    def decorator(function: AnyUpcaster) -> AnyUpcaster:
        before = registered.upcasters.get(to)
        if before is not None and _place(before) != _place(function):
            raise TypeError(
                f"upcasts(to={to}): {registered.name} has an upcaster to this version already: {_place(before)}"
            )
        registered.upcasters[to] = function
        return function

    return decorator


def _place(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"
