"""JSON values come back from the database as the values they were."""

import json
import math
import re
from collections import OrderedDict, defaultdict
from enum import IntEnum
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events import jsonb
from events.exceptions import InvalidEvent
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


NESTED: Any = {}
for _ in range(253):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        (1, 1.0, True),
        (0.0, -0.0, True),
        (1, True, False),
        (0, False, False),
        ([0], [False], False),
        ({"a": {"b": 1}}, {"a": {"b": True}}, False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ((1, 2), [1, 2], True),
        ("1", 1, False),
        (None, False, False),
        ([], {}, False),
        (2**70, 2**70, True),
        (2**70, 2**70 + 1, False),
        (NESTED, NESTED, True),
    ],
)
def test_equal_is_the_equality_of_jsonb(one: Any, other: Any, equal: bool) -> None:
    assert jsonb.equal(one, other) is jsonb.equal(other, one) is equal
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb = %s::jsonb", [json.dumps(one), json.dumps(other)])
        assert cursor.fetchone() == (equal,)


@pytest.mark.parametrize(
    "value",
    [
        {"v": [1e-300, -5e-324, 2.2250738585072014e-308, 1.5, 1e22]},
        {"id": "1e-5", "1e-300": '"1e-5'},
        {"v": 1e-7},
        {},
    ],
)
def test_stored_bytes_are_those_of_a_read(value: Any) -> None:
    text, _ = jsonb.dumps(value, "data")
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::jsonb::text", [text.decode()])
        (stored,) = cursor.fetchone()
    assert jsonb.stored_bytes(text, 0) == len(re.sub("([,:]) ", r"\1", stored))
    assert jsonb.stored_bytes(text, 10_000) == len(text)


def test_limit_of_an_event_counts_numbers_as_they_are_stored(store: EventStore) -> None:
    with pytest.raises(InvalidEvent, match="takes 6,060,009 bytes as JSON"):
        store.dispatch(new(data={"v": [1e-300] * 20_000}))
    store.dispatch(new(data={"v": [1e-300] * 3_000}))


def test_long_numbers_take_no_longer_than_their_length() -> None:
    """Reading an integer of 4,300 digits once for each of its digits took half a second."""
    value = {"n": [10**4299] * 100, "changed": [1e22, -0.0, 1.5], "text": "1e22 \\ -0.0"}
    text, copy = jsonb.dumps(value, "data")
    assert copy == value
    assert text.endswith(b',"changed":[10000000000000000000000.0,0.0,1.5],"text":"1e22 \\\\ -0.0"}')


def test_path_is_built_only_for_an_error() -> None:
    """A path for each value copied the long name for each of them."""
    big = 2**70
    assert jsonb.dumps({"k" * 400_000: [1] * 200_000, "big": big}, "data")[1]["big"] == big
    with pytest.raises(InvalidEvent) as caught:
        jsonb.dumps({"a": [1, {"b": [2, (3, float("nan"))]}]}, "data")
    assert caught.value.field == "data.a[1].b[1][1]"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"v": -%s}' % ("9" * 4301), "4,301 digits"),
        ('{"v": -%s.25}' % ("9" * 310), "too large or too small for a float"),
        ('{"v": [0.5, -0.%s1]}' % ("0" * 400), "too large or too small for a float"),
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


class Place(str):
    __slots__ = ()


class Level(IntEnum):
    HIGH = 2


def nested(levels: int, value: Any = 1) -> Any:
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("levels", [29, 30, 31, 200, 253])
def test_deep_values_round_trip_without_orjson(store: EventStore, levels: int) -> None:
    """orjson writes many closing brackets at once past the end of its buffer, which can end the process."""
    data = {"v": [nested(levels - 1) for _ in range(131_000 // (2 * levels))]}
    text, copy = jsonb.dumps(data, "data")
    assert copy == data == jsonb.loads(text)
    assert text == json.dumps(data, separators=(",", ":")).encode()
    if levels + 1 <= 30:
        assert jsonb.encode(data) == text
    else:
        with pytest.raises(TypeError):
            jsonb.encode(data)


@pytest.mark.parametrize(
    ("value", "levels"), [(1, 0), ([], 1), ({"a": ()}, 2), ([1, {"a": [True]}], 3), (nested(9), 9)]
)
def test_is_deeper_counts_objects_and_lists(value: Any, levels: int) -> None:
    assert not jsonb.is_deeper(value, levels)
    assert levels == 0 or jsonb.is_deeper(value, levels - 1)


def test_value_that_contains_itself_is_too_deep() -> None:
    twice: list[Any] = []
    twice += [twice, twice]
    with pytest.raises(InvalidEvent, match="nested more than 254 levels"):
        jsonb.dumps({"v": twice}, "data")


def test_subclasses_of_what_json_has_are_written(store: EventStore) -> None:
    data = OrderedDict(total=defaultdict(list, lines=[Place("shelf"), Level.HIGH]))
    assert store.dispatch(new(data=data))[0].data == {"total": {"lines": ["shelf", 2]}}
    assert Event.objects.get().data == {"total": {"lines": ["shelf", 2]}}
