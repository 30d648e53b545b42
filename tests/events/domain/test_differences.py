from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from events.domain import ABSENT, Value
from events.domain.differences import Difference, differences


@dataclass
class Line:
    sku: str
    quantity: int = 1


class Card(Value):
    number: str


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [("a", 1, 2)]),
        ({"a": 1}, {"a": "1"}, [("a", 1, "1")]),
        ({"a": Decimal("1.0")}, {"a": Decimal(1)}, []),
        ({"a": None}, {"a": []}, [("a", None, [])]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, [("a[1]", 2, 3), ("a[2]", ABSENT, 4)]),
        ({"a": [1]}, {"a": []}, [("a[0]", 1, ABSENT)]),
        (
            {"a": {"x": 1, "y": 2}},
            {"a": {"y": 3, "z": 4}},
            [("a['x']", 1, ABSENT), ("a['y']", 2, 3), ("a['z']", ABSENT, 4)],
        ),
        ({"a": {1, 2}}, {"a": {2, 3}}, [("a", {1, 2}, {2, 3})]),
        ({"lines": [Line("x")]}, {"lines": [Line("x", 2)]}, [("lines[0].quantity", 1, 2)]),
        ({"by": Card(number="1")}, {"by": Card(number="2")}, [("by.number", "1", "2")]),
        ({"by": Line("x")}, {"by": Card(number="2")}, [("by", Line("x"), Card(number="2"))]),
        ({"a": 1}, {"b": 2}, [("a", 1, ABSENT), ("b", ABSENT, 2)]),
    ],
)
def test_differences_have_their_paths(before: Any, after: Any, expected: Any) -> None:
    assert differences(before, after) == [Difference(*each) for each in expected]


def test_difference_is_readable() -> None:
    assert str(Difference("lines[1]", ABSENT, 2)) == "lines[1]: (absent) -> 2"
