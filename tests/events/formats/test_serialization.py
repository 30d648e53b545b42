"""JSON from outside is read quickly where that loses nothing, and otherwise as the standard library reads it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from hypothesis import given
from hypothesis import strategies as st

from events.exceptions import InvalidEvent
from events.formats.serialization import from_json, json_fault, moment, uuid_of

CAREFUL = json.JSONDecoder()
TEXTS = st.text(st.sampled_from('ab "\\,:{}\u00e9'), max_size=4)
NUMBERS = st.integers() | st.integers(2**63, 2**70) | st.floats(allow_nan=False, allow_infinity=False)


VALUES = st.recursive(
    TEXTS | NUMBERS | st.booleans() | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(
    VALUES,
    st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", " : ")]),
    st.booleans(),
    st.sampled_from(["", "\n", " "]),
)
def test_json_is_read_as_the_standard_library_reads_it(
    value: Any, separators: tuple[str, str], ascii_only: bool, end: str
) -> None:
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only) + end
    assert repr(from_json(text)) == repr(CAREFUL.decode(text))  # 1 and 1.0 are equal


@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), st.sampled_from(["", " ", "  "]), st.booleans())
def test_duplicate_name_is_rejected_at_any_depth(value: dict[str, Any], space: str, is_nested: bool) -> None:
    name, inner = next(iter(value.items()))
    again = f"{space}{json.dumps(name, ensure_ascii=False)}:{space}{json.dumps(inner, ensure_ascii=False)}"
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))[:-1] + f",{again}{space}}}"
    with pytest.raises(ValueError, match="occurs twice in one object"):
        from_json(f'[{{"a":{text}}}]' if is_nested else text)


def test_beginning_of_a_long_name_that_is_there_twice_is_shown() -> None:
    name = 1000 * "n"
    with pytest.raises(ValueError, match=f"^'{99 * 'n'}… occurs twice"):
        from_json(f'{{"{name}": 1, "{name}": 2}}')


def test_first_name_that_is_there_twice_is_named() -> None:
    names = [f'"n{n}": 1' for n in range(20_000)]
    with pytest.raises(ValueError, match="'n19999' occurs twice"):
        from_json("{" + ", ".join([*names, names[-1]]) + "}")
    with pytest.raises(ValueError, match="'b' occurs twice"):
        from_json('{"a": 1, "b": 1, "c": 1, "c": 1, "c": 1, "b": 1}')


@pytest.mark.parametrize("text", ["NaN", "[1e400, NaN]", "{", "", '{"a": 1,}', "[1 2]", "'a'"])
def test_invalid_json_is_rejected(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # in the words of the standard library
        from_json(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{\n "a" 1}', "This is not valid JSON: Expecting ':' delimiter at line 2, column 6."),
        ('{"a": 1, "a": 2}', "This is not valid JSON: 'a' occurs twice in one object"),
    ],
)
def test_fault_is_a_sentence_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011  # the sentence is compared below
        from_json(text)
    assert json_fault(raised.value).startswith(fault)


@pytest.mark.parametrize(
    "text", ["1e999", "-1e999", "[1.5, 1E-999]", "-1e-400", "2e-324", f"0.{'0' * 400}1", f"{'9' * 400}.5", "1.8e308"]
)
def test_number_that_no_double_holds_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match=r"the number .* does not fit into a double.*; send it as a string"):
        from_json(text)


@pytest.mark.parametrize("text", ["5e-324", "0e-999", "0.0e999", f"0.{'0' * 400}", "-0.0", "1.7e308", '["1e-999"]'])
def test_number_that_a_double_holds_is_read(text: str) -> None:
    assert from_json(text) == json.loads(text)


ODD_MOMENTS = [
    "2030-01-31T12:00:00z",
    "2030-01-31t12:00z",
    "20300131T120000z",
    "2030-01-31 12:00:00.5z",
    "2016-12-31T23:59:60Z",
    "2017-01-01T05:29:60+05:30",
    "20161231T235960Z",
    "2030-01-31T24:00:00Z",
    "2030-01-31 24:00+02",
    "2030-01-31T12:00:00.1234564999Z",
    "2030-01-31T12:00:00.1234565001Z",
    "2030-01-31T12:00:00.123456789123456789+01:00",
    "2030-12-31T23:59:59.9999999Z",
    "20301231T235959.9999999Z",
    "2030-01-31T12:00:00.0000005z",
    "2030-01-31T12:00:00.9999995z",
    "0001-01-02T00:00:00z",
    "9999-12-29T23:59:60z",
]


@pytest.mark.django_db
@pytest.mark.parametrize("text", ODD_MOMENTS)
def test_moment_is_read_as_postgresql_reads_it(text: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [text])
        assert cursor.fetchone() == (moment("timestamp", text),)


def test_fraction_after_a_comma_is_rounded_too() -> None:
    assert moment("timestamp", "2030-01-31T12:00:00,1234567Z").microsecond == 123457
    assert moment("timestamp", "2030-01-31T12:00:00,5Z").microsecond == 500_000


def test_fraction_of_a_leap_second_is_kept() -> None:
    # PostgreSQL rejects it.
    assert moment("timestamp", "2016-12-31T23:59:60,5z") == datetime(2017, 1, 1, microsecond=500_000, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2030-01-31T12:60:00Z", "is not an ISO 8601"),
        ("2030-01-31T12:60z", "is not an ISO 8601"),
        ("2030-01-31T12:00:61Z", "is not an ISO 8601"),
        ("2030-01-31T24:00:01Z", "is not an ISO 8601"),
        ("2030-01-31T24:00:00.5Z", "is not an ISO 8601"),
        ("2030-02-30T12:00:00z", "is not an ISO 8601"),
        ("2030-01-31T12:00:00.", "is not an ISO 8601"),
        ("\uff12030-01-31T12:00:00Z", "is not an ISO 8601"),
        (f"2030-01-31T12:00:00.{'1' * 5000}Z", "is not an ISO 8601"),
        ("2030-01-31T12:00:60", "has no time zone"),
        ("9999-12-31T23:59:60Z", "lies outside the years 1 to 9999"),
        ("0001-01-01T00:00:00+01:00", "lies outside the years 1 to 9999"),
    ],
)
def test_moment_that_does_not_exist_is_rejected(text: str, message: str) -> None:
    with pytest.raises(InvalidEvent, match=message):
        moment("timestamp", text)


def test_local_time_exists_once() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for text, message in (
        ("2030-03-31 02:30", "does not exist in the time zone Europe/Berlin"),
        ("2030-10-27 02:30", "exists twice in the time zone Europe/Berlin"),
    ):
        with pytest.raises(InvalidEvent, match=message):
            moment("timestamp", text, berlin)
        assert moment("timestamp", f"{text}+01:00", berlin) == datetime.fromisoformat(f"{text}+01:00")
    assert moment("timestamp", "2030-10-27 03:00", berlin) == datetime(2030, 10, 27, 2, tzinfo=UTC)
    assert moment("timestamp", "0001-01-02", berlin).year == 1


@pytest.mark.parametrize("form", ["0x{0}", "+2{0}", " 2{0}", "２2{0}", "2_{0}", "22-----{0}", "{{{{22{0}", "22{0}\n"])
def test_text_that_python_alone_takes_for_a_uuid_is_none(form: str) -> None:
    text = form.format("458bc6dd4fdf94f1eb57f05f337912")
    assert UUID(text.strip("\n"))
    with pytest.raises(InvalidEvent, match="is not a UUID"):
        uuid_of(text)


def test_uuid_as_a_name_in_capitals() -> None:
    text = "{12B2458B-C6DD-4FDF-94F1-EB57F05F3379}"
    assert uuid_of(f"URN:UUID:{text}") == uuid_of(text) == UUID(text)
