"""JSON values come back from the database as the values they were."""

import json
import math
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import jsonb
from events.models import Event
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(text, children, max_size=4),
    max_leaves=10,
)


def same(one: Any, other: Any) -> bool:
    """Equal, and of the same types: 1, 1.0 and True are different values in JSON."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.dictionaries(text, json_values, max_size=4))
def test_any_json_object_round_trips(store: EventStore, data: dict[str, Any]) -> None:
    # Below a name of its own: the length of a correlation id is bounded.
    (dispatched,) = store.dispatch(new(data=data, metadata={"copy": data}))
    read = Event.objects.get(position=dispatched.position)
    assert same(dispatched.data, data)
    assert same(read.data, data)
    assert same(read.metadata["copy"], data)


@pytest.mark.parametrize(
    "value",
    [
        {"deep": [{"a": [[], {}, None, True, False, "", 0]}]},
        'é ü ß 日本 😀 \u2028 \\u0000 \\ " / \t\n\x7f',
        2**53 + 1,
        2**63,
        -(2**64),
        10**4000,
        0.1,
        1e16,
        1e22,
        1e23,
        -1.5e300,
        5e-324,
        1.7976931348623157e308,
        100.0,
        "1e23 and 12345678901234567890",
        "x" * 1_000_000,
    ],
    ids=lambda value: repr(value)[:30],
)
def test_special_values_round_trip(store: EventStore, value: Any) -> None:
    store.dispatch(new(data={"value": value}))
    read = Event.objects.get().data["value"]
    assert same(read, value)
    assert math.isfinite(read) if isinstance(read, float) else True


def test_text_is_plain_json() -> None:
    written, _ = jsonb.dumps({"a": [1e23, 1e-7, "1e23", 2**70]}, "data")
    assert json.loads(written) == {"a": [1e23, 1e-7, "1e23", 2**70]}


@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("number", [-(2**63) - 1, 2**64, 10**40 + 1, 2**63 - 1])
def test_integers_of_any_length_are_read_exactly_wherever_they_stand(number: int, offset: int) -> None:
    value = {"x" * offset: [number]}
    text, copy = jsonb.dumps(value, "data")
    assert jsonb.loads(text) == copy == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"v": -%s}' % ("9" * 4301), "4,301 digits"),
        ('{"v": -%s.25}' % ("9" * 310), "beyond the range of a float"),
        (f'{{"v": {"[" * 254}{"]" * 254}}}', "nested more than 254 levels"),
        (f'{{"v": {"[" * 5000}{"]" * 5000}}}', "nested more than 254 levels"),
        (f'{{"n": {2**80}, "v": {"[" * 300}{"]" * 300}}}', "nested more than 254 levels"),
    ],
)
def test_text_that_python_cannot_represent_has_a_reason(text: str, reason: str) -> None:
    assert jsonb.may_be_unreadable(text)
    with pytest.raises(ValueError, match=reason):
        jsonb.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"v": %s}' % ("9" * 4300),
        f'{{"v": {"[" * 253}{"]" * 253}}}',
        f'{{"v": "{"[" * 5000}"}}',
        f'{{"n": {2**80}, "v": [{"[]," * 5000} 1]}}',
    ],
)
def test_text_that_only_looks_unreadable_is_read(text: str) -> None:
    assert jsonb.loads(text) == json.loads(text)
