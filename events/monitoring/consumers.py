"""Who gets the events of a type: the subscribers of this process, and what other apps register, such as projections."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from events import subscriptions
from events.types import ALL


class Consumer(NamedTuple):
    """One that gets the events of a type.

    Attributes:
        kind: what it is, such as "subscriber".
        name: its name, or its place in the code.
        page: the name of its page in the admin and the key there; empty if it has none.
        permission: the permission that the page needs.
        is_of_all: whether it gets the events of all types.
    """

    kind: str
    name: str
    page: tuple[str, ...] = ()
    permission: str = ""
    is_of_all: bool = False


Find = Callable[[str], Iterable[Consumer]]

_finders: list[Find] = []


def register(find: Find) -> None:
    """Call `find(event_type)` for the consumers of a type; it gets the newest name of the type."""
    if find not in _finders:
        _finders.append(find)


def of_type(event_type: str, using: str) -> list[Consumer]:
    """Return the consumers of an event type: subscribers in a database first, each kind by name."""
    found = [
        Consumer("subscriber", _place(handler), is_of_all=key is ALL)
        for key, handler in subscriptions.handlers_of(event_type, using)
    ]
    return sorted(found) + [each for find in _finders for each in sorted(find(event_type))]


def _place(handler: Any) -> str:
    function = getattr(handler, "__func__", handler)
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__qualname__', repr(function))}"
