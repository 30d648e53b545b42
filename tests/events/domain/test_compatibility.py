"""Which changes of a schema lose stored data, and which do not."""

from enum import Enum
from typing import Annotated, Any, Literal

import msgspec
import pytest

from events.domain import Value
from events.domain.compatibility import incompatible_changes
from events.domain.event_types import PayloadType
from events.domain.schemas import schema_of


class A(Value):
    x: int


class B(Value):
    y: int


class Few(Enum):
    A = "a"


class Many(Enum):
    A = "a"
    B = "b"


Least = Annotated[int, msgspec.Meta(ge=1)]
Struct = msgspec.defstruct
Inner = Struct("Inner", [("x", int)])
Wider = Struct("Inner", [("x", int), ("y", int, 0)])
Stricter = Struct("Inner", [("x", int), ("y", int)])
Node = msgspec.defstruct("Node", [("next", "Node | None")], namespace={"__module__": __name__})
ABSENT: Any = object()


def of(annotation: Any) -> dict[str, Any]:
    fields = (
        [] if annotation is ABSENT else [("f", *annotation) if isinstance(annotation, tuple) else ("f", annotation)]
    )
    return schema_of(PayloadType(msgspec.defstruct("Thing", [*fields, ("other", str)], kw_only=True), "Thing", 1, ()))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (int, int),
        (ABSENT, (int, 1)),  # a new field with a default
        (int, int | None),
        (int, (int, 1)),
        (int, float),
        (int, int | str),
        (Least, int),
        (Few, Many),
        (Literal["a"], str),
        (A, A | B),
        (Inner, Wider),
        (list[Inner], list[Wider]),
        (dict[str, int], dict[str, int | None]),
        (int, Any),
        (Node, Node),
    ],
)
def test_stored_data_still_fits(before: Any, after: Any) -> None:
    assert incompatible_changes(of(before), of(after)) == []


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (int, ABSENT, "data.f: the field was removed"),
        (ABSENT, int, "data.f: the field was added without a default"),
        ((int, 1), int, "data.f: the field lost its default"),
        (int, str, "data.f: the type changed from integer to string"),
        (str, int, "data.f: the type changed from string to integer"),
        (float, int, "data.f: the type changed from number to integer"),
        (int | None, int, "data.f: null is not allowed any more"),
        (int, Least, "data.f: minimum 1 allows less; it is new"),
        (Annotated[str, msgspec.Meta(max_length=9)], Annotated[str, msgspec.Meta(max_length=8)], "it was 9"),
        (Many, Few, "data.f: 'b' is not allowed any more"),
        (str, Few, "data.f: the type changed from string to 'a'"),
        (A | B, A, "data.f: B is not allowed any more"),
        (Inner, Stricter, "data.f.y: the field was added without a default"),
        (list[Inner], list[Stricter], "data.f[*].y: the field was added without a default"),
        (dict[str, int], dict[str, str], "data.f.*: the type changed from integer to string"),
        (tuple[int, str], tuple[int, int], "data.f[1]: the type changed from string to integer"),
        (tuple[int, str], tuple[int], "data.f: maxItems 1 allows less"),
        (list[Inner], dict[str, Inner], "data.f: the type changed from array to object"),
        (Inner, dict[str, str], "data.f.x: the type changed from integer to string"),
        (Any, int, "data.f: the type changed from anything to integer"),
    ],
)
def test_stored_data_no_longer_fits(before: Any, after: Any, change: str) -> None:
    assert any(change in each for each in incompatible_changes(of(before), of(after)))
