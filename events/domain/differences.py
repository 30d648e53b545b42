"""What differs between two states of an aggregate."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from .codecs import members_of


class Absent:
    """Stands for a value that one of the states does not have."""

    def __repr__(self) -> str:
        return "(absent)"


ABSENT = Absent()


class Difference(NamedTuple):
    """A value that differs.

    Attributes:
        path: where it is, such as `lines[0].quantity`.
        before, after: the values; ABSENT for none, such as a member that was added to a list.
    """

    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.path}: {self.before!r} -> {self.after!r}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """Return the differences between two states by field, in the order of the fields."""
    return [found for name in {**before, **after} for found in _compare(name, *_both(name, before, after))]


def _compare(path: str, before: Any, after: Any) -> Iterator[Difference]:
    if type(before) is type(after) and (parts := parts_of(before)) is not None:
        others = parts_of(after) or {}
        for name in {**parts, **others}:
            yield from _compare(f"{path}{name}", *_both(name, parts, others))
    elif type(before) is not type(after) or before != after or _zone(before) != _zone(after):
        yield Difference(path, before, after)


def _zone(value: Any) -> Any:
    """Return the kind of a moment's time zone: equal moments in two zones differ when a day is added to them."""
    return type(value.tzinfo) if isinstance(value, datetime) else None


def _both(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Any, Any]:
    return before.get(name, ABSENT), after.get(name, ABSENT)


def parts_of(value: Any) -> dict[str, Any] | None:
    """Return the parts of a value by their path in it; None if it has no parts."""
    if isinstance(value, (list, tuple)):
        return {f"[{index}]": member for index, member in enumerate(value)}
    if isinstance(value, Mapping):
        return {f"[{key!r}]": member for key, member in value.items()}
    cls: Any = type(value)
    if fields := members_of(cls):
        return {f".{name}": getattr(value, name) for name in fields}
    return None
