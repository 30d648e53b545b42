"""The JSON format of events that HTTP, imports and exports share."""

import json
import re
import sys
from collections import Counter
from collections.abc import Collection, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from fractions import Fraction
from typing import Any, NoReturn
from uuid import UUID

import orjson
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from events.exceptions import InvalidEvent
from events.jsonb import MAX_DEPTH, double, encode, is_deeper
from events.models import Event
from events.storage.rows import EventRow
from events.types import NewEvent

GIVEN = ("aggregate_id", "type", "data", "metadata", "timestamp", "event_id")
# The field of an event that Python cannot represent: the reason.
UNREADABLE = "unreadable"
# The fields that the store adds to an event.
ADDED = ("position", "version", "recorded_at")
_SHOWN_CHARACTERS = 100
_LONG_FRACTION = re.compile(r"\.[0-9]{7}")
# Python's UUID also reads what `int` does, such as "0x…", "_" between digits and spaces around them, as another id.
_UUID = re.compile(r"(?:urn:uuid:)?\{?[0-9a-f]{8}(-?)[0-9a-f]{4}(?:\1[0-9a-f]{4}){2}\1[0-9a-f]{12}\}?", re.IGNORECASE)
_TIME = re.compile(
    r"(?P<date>[0-9-]+[Tt ])(?P<hour>[0-9]{2})(?P<colon>:?)(?P<minute>[0-9]{2})"
    r"(?:(?P=colon)(?P<second>[0-9]{2})(?:\.(?P<fraction>[0-9]+))?)?(?P<zone> *(?:[Zz]|[+-][0-9:]+)?)"
)


def event_as_dict(event: Event) -> dict[str, Any]:
    """Return a stored event in the shared format.

    An event that is marked as unreadable has the reason as `unreadable`, and null in place of what cannot be read.
    """
    content = {
        "position": event.position,
        "aggregate_id": event.aggregate_id,
        "version": event.version,
        "event_id": str(event.event_id),
        "type": event.type,
        "data": event.readable_data,
        "metadata": event.metadata,
        "timestamp": event.timestamp and event.timestamp.isoformat(),
        "recorded_at": event.recorded_at and event.recorded_at.isoformat(),
    }
    return {**content, UNREADABLE: event.unreadable} if event.unreadable else content


def event_row_as_dict(event: EventRow | Event) -> dict[str, Any]:
    """Return a stored row, or a marked event beside rows, in the shared format, for `to_json` only.

    `data` and `metadata` are JSON text: orjson, which alone can write rows, cannot write each of their values.
    """
    if isinstance(event, EventRow):
        return {**event._asdict(), "data": orjson.Fragment(event.data), "metadata": orjson.Fragment(event.metadata)}
    content = event_as_dict(event)
    return {**content, **{name: orjson.Fragment(to_json(content[name])) for name in ("data", "metadata")}}


def from_json(text: str) -> Any:
    """Return the value of JSON text from a client or a file.

    orjson reads the text first. If it writes the same text again, except for spaces, nothing was lost, such as the last
    digits of an integer or a duplicate name. Otherwise the standard library's slower decoder decides.

    Raises:
        ValueError: the text is not JSON, or readers interpret it differently: NaN, a duplicate name in an object, a
            number that a double cannot hold, such as 1e999, or would hold as zero, such as 1e-999.
    """
    with suppress(ValueError, TypeError):
        value = orjson.loads(text)
        if is_lossless(value, text.encode()):
            return value
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError as error:
        if "integer string conversion" not in str(error):
            raise
        digits = sys.get_int_max_str_digits()
        raise ValueError(f"an integer has more than {digits:,} digits; send it as a string") from None


def json_fault(error: ValueError) -> str:
    """Return an error of `from_json` as a sentence, with the line and the column if it has them."""
    if isinstance(error, json.JSONDecodeError):
        return f"This is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
    return f"This is not valid JSON: {error}."


def is_lossless(value: Any, text: bytes) -> bool:
    """Return whether the `value` that orjson has read from `text` is written as the same text, except for spaces."""
    try:
        written = encode(value)
    except TypeError:  # deep
        if is_deeper(value, MAX_DEPTH):
            return False
        written = to_json(value)
    text = text.strip()
    # Spaces in strings are removed too, which does no harm: the comparison still finds other differences.
    return written == text or written.replace(b" ", b"") == text.replace(b" ", b"")


def to_json(value: Any) -> bytes:
    """Return the JSON text of a value that JSON can represent."""
    try:
        return encode(value)
    except TypeError:  # an integer of more than 64 bits, or deep
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def new_event_from_dict(content: Any, **known: Any) -> NewEvent:
    """Return the new event that a JSON object in the shared format describes; `known` fields come from elsewhere.

    Raises:
        InvalidEvent: it is not an object, a field is missing or unknown, or its value is not valid.
    """
    return NewEvent(**new_event_fields(content, **known))


def new_event_fields(content: Any, *, ignored: Collection[str] = (), **known: Any) -> dict[str, Any]:
    """Return the arguments of `NewEvent` for a JSON object; see `new_event_from_dict`."""
    if not isinstance(content, Mapping):
        raise InvalidEvent("event", f"must be a JSON object with the fields {', '.join(GIVEN)}")
    fields = {name: content[name] for name in GIVEN if content.get(name) is not None}
    for name, value in known.items():
        if fields.setdefault(name, value) != value:
            raise InvalidEvent(name, f"is {shown(fields[name])} here but {value!r} in the address; leave it out")
    for name in content:
        if name not in GIVEN and name not in ignored:
            raise InvalidEvent(_short(str(name)), f"is not a field of a new event; the fields are: {', '.join(GIVEN)}")
    for name in ("aggregate_id", "type"):
        if name not in fields:
            raise InvalidEvent(name, "is missing")
    for name, value in fields.items():
        if not isinstance(value, Mapping if name in ("data", "metadata") else str):
            raise InvalidEvent(
                name, f"is {shown(value)}; it must be {'an object' if name in ('data', 'metadata') else 'a string'}"
            )
    if "timestamp" in fields:
        fields["timestamp"] = moment("timestamp", fields["timestamp"])
    if "event_id" in fields:
        fields["event_id"] = uuid_of(fields["event_id"])
    return fields


def moment(field: str, text: Any, default_zone: tzinfo | None = None) -> datetime:
    """Return the datetime of ISO 8601 `text`; `default_zone` is the time zone of text without one.

    Raises:
        InvalidEvent: it is not a date and time, or it has no time zone and there is no default.
    """
    try:
        value = parsed_moment(text)
        if value is None:
            raise InvalidEvent(
                field, f"{shown(text)} is not an ISO 8601 date and time such as 2030-01-31T12:00:00+01:00"
            )
        if timezone.is_naive(value):
            if default_zone is None:
                raise InvalidEvent(field, f"{shown(text)} has no time zone; add one, such as +01:00 or Z")
            value = value.replace(tzinfo=default_zone)
            _check_is_unique(field, value)
        return value.astimezone(UTC)  # PostgreSQL does not accept every offset of Python
    except OverflowError:
        raise InvalidEvent(field, f"{shown(text)} lies outside the years 1 to 9999") from None


def parsed_moment(text: Any) -> datetime | None:
    """Return the datetime of ISO 8601 `text`; None if it is none. It has no time zone if the text has none.

    As in PostgreSQL, second 60 is the beginning of the next minute, 24:00 is the beginning of the next day, and more
    digits than microseconds are rounded.

    Raises:
        OverflowError: it lies outside Python's years.
    """
    if not isinstance(text, str) or not text.isascii():
        return None
    try:
        value = parse_datetime(text)
    except ValueError:
        value = None
    # Django's function cuts off the digits behind microseconds.
    if value and "," not in text and not ("." in text and _LONG_FRACTION.search(text)):
        return value
    match = _TIME.fullmatch(text.replace(",", "."))
    with suppress(ValueError):
        return _with_odd_time(**match.groupdict()) if match else value
    return None


def _with_odd_time(
    date: str, hour: str, colon: str, minute: str, second: str | None, fraction: str | None, zone: str
) -> datetime | None:
    beyond = timedelta(microseconds=round(Fraction(int(fraction), 10 ** len(fraction)) * 10**6) if fraction else 0)
    second = second or "00"
    if second == "60":
        second, beyond = "59", beyond + timedelta(seconds=1)
    if hour == "24" and minute == second == "00" and not beyond:
        hour, beyond = "00", timedelta(days=1)
    value = parse_datetime(f"{date}{hour}{colon}{minute}{colon}{second}{zone.upper()}")
    return value and value + beyond


def _check_is_unique(field: str, value: datetime) -> None:
    """Check that the local time exists once, although the clocks of its zone are changed."""
    if value.utcoffset() == value.replace(fold=1).utcoffset():
        return
    exists = value.astimezone(UTC).astimezone(value.tzinfo).replace(fold=0) == value
    raise InvalidEvent(
        field,
        f"{value.replace(tzinfo=None)} {'exists twice' if exists else 'does not exist'} in the time zone"
        f" {value.tzinfo}, because of a change of the clocks; add the offset, such as +01:00",
    )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number; use null or a string")


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"{shown(name)} occurs twice in one object")
    return found


def _float(text: str) -> float:
    value = double(text)
    if value is None:
        raise ValueError(
            f"the number {_short(text)} does not fit into a double, which stores numbers with a point or an exponent;"
            " send it as a string"
        )
    return value


_DECODER = json.JSONDecoder(parse_float=_float, parse_constant=_no_constant, object_pairs_hook=_unambiguous)


def uuid_of(text: Any) -> UUID:
    """Return the event id that `text` is: a UUID with or without dashes, braces or `urn:uuid:`, in any case.

    Raises:
        InvalidEvent: it is not a UUID.
    """
    if isinstance(text, str) and _UUID.fullmatch(text):
        return UUID(text.lower())
    raise InvalidEvent("event_id", f"{shown(text)} is not a UUID; leave it out to get one")


def shown(value: Any) -> str:
    """Return a value from a client or a file in the words of JSON, and not longer than fits an error."""
    if isinstance(value, str):
        return _short(repr(value))
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "a list"
    return _short(json.dumps(value, default=str))


def _short(text: str) -> str:
    """Return the beginning of a text from outside, which may be as long as a request or a line, for an error."""
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
