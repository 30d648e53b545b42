"""What type checkers call the payloads of events; at run time these names mean nothing."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The default is what a plain `Event` has. With Any, checkers would take each of its fields for Any.
    Payload = TypeVar("Payload", covariant=True, default=object)
    # Of several classes, each by itself: checkers make nothing of a tuple of them. mypy takes the default for a list of
    # two classes.
    A = TypeVar("A", default=object)
    B = TypeVar("B", default=object)
    C = TypeVar("C", default=object)
else:
    from typing import TypeVar

    Payload, A, B, C = (TypeVar(name) for name in ("Payload", "A", "B", "C"))
