"""JSON values to the text of a `jsonb` column and back, without changing a value.

Three things would change values: `jsonb` writes `1e23` as an integer, which Python reads as a number that differs from
the float; orjson reads integers beyond 64 bits as floats; and orjson writes NaN as null and dates as strings. All three
are rare. So orjson converts a value first, and only a value that fails the check afterwards takes the slow way.
"""

import json
import math
import re
from typing import Any

import orjson

from .exceptions import InvalidEvent

# The deepest nesting that orjson writes; `jsonb` allows more.
MAX_DEPTH = 254

# An integer beyond 64 bits has 19 digits or more. Every fourth character of such a number gives four digits in a row;
# looking for them first takes a third of the time.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# A string, to skip; or a number that `jsonb` changes: one with a positive exponent (to an integer), or -0.0.
_STRING_OR_CHANGED = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE]\+?\d+|-0\.0(?!\d)')
# The exponent alone, as a first test: a pattern that begins with a letter is three times as fast.
_EXPONENT = re.compile(rb"e(?<=\de)\+?\d")


def dumps(value: Any, field: str) -> tuple[bytes, Any]:
    """Return the JSON text of `value`, and a copy of `value` as a read returns it (tuples become lists).

    Raises:
        InvalidEvent: JSON or `jsonb` cannot represent a part of it; the error names the path below `field`.
    """
    try:
        text = _dumps(value)
        copy = orjson.loads(text)
    except (TypeError, ValueError):
        return _dumps_slowly(value, field)
    # The copy differs if orjson wrote a value that JSON does not have (NaN, a date, a UUID), or a tuple.
    if copy != value or b"\\u0000" in text:
        return _dumps_slowly(value, field)
    return _as_jsonb_keeps_it(text, copy)


def dumps_parsed(value: Any) -> bytes | None:
    """Return what `dumps` would, for a value that orjson has read from JSON; None if only `dumps` can decide.

    Such a value has no dates, NaN or integers beyond 64 bits, so it needs no copy to find them.
    """
    try:
        text = _dumps(value)
    except TypeError:  # nested too deep
        return None
    return None if b"\\u0000" in text or b"-0.0" in text or _EXPONENT.search(text) else text


def loads(text: str | bytes) -> Any:
    """Return the value of a `jsonb` column's `text`."""
    if isinstance(text, bytes):
        text = text.decode()
    if text == "{}":  # most metadata
        return {}
    is_long = _FOUR_DIGITS.search(text[3::4]) and _LONG_NUMBER.search(text)
    return json.loads(text) if is_long else orjson.loads(text)


def _dumps(value: Any) -> bytes:
    # A copy: the bytes that orjson returns keep a buffer of 4 KiB, however short they are.
    return b"%b" % orjson.dumps(value)


def _dumps_slowly(value: Any, field: str) -> tuple[bytes, Any]:
    _check(value, field, MAX_DEPTH)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return _as_jsonb_keeps_it(text, loads(text))


def _as_jsonb_keeps_it(text: bytes, value: Any) -> tuple[bytes, Any]:
    if b"-0.0" not in text and not _EXPONENT.search(text):
        return text, value
    text = _STRING_OR_CHANGED.sub(_written_out, text)
    return text, loads(text)


def _written_out(match: re.Match[bytes]) -> bytes:
    token = match[0]
    if token.startswith(b'"'):
        return token
    # With a point, the number stays a float in `jsonb`, which keeps the digits of decimals, but not the sign of zero.
    return b"%.1f" % (float(token) or 0.0)


def _check(value: Any, path: str, depth: int) -> None:
    if depth == 0:
        raise InvalidEvent(f"{path[:60]}…", f"is nested more than {MAX_DEPTH} levels deep; flatten it")
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):
        _check_integer(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise InvalidEvent(path, f"is {value}, which is not a JSON number; use null or a string")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise InvalidEvent(path, f"has the key {key!r}; the keys of a JSON object are strings")
            _check_text(key, path)
            _check(item, f"{path}.{key}", depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check(item, f"{path}[{index}]", depth - 1)
    else:
        raise InvalidEvent(
            path, f"is a {type(value).__name__}, which JSON does not have; turn it into a string or number"
        )


def _check_text(value: str, path: str) -> None:
    if "\0" in value:
        raise InvalidEvent(path, "contains a NUL character, which PostgreSQL does not store; remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(path, "contains a lone surrogate, which is not text; repair its encoding") from None


def _check_integer(value: int, path: str) -> None:
    try:
        str(value)
    except ValueError:
        raise InvalidEvent(path, "is an integer of more digits than Python converts; use a string") from None


# Characters that some line readers, such as Python's `splitlines` and httpx, take for line ends.
_LINE_ENDS = {each.encode(): b"\\u%04x" % ord(each) for each in "\x85\u2028\u2029"}


def in_one_line(text: bytes) -> bytes:
    """Return JSON `text` with the line ends in it escaped, for clients that read line by line."""
    for line_end, escaped in _LINE_ENDS.items():
        text = text.replace(line_end, escaped)
    return text


def pretty(value: Any, indent: int | None = 2) -> str:
    """Return `value` as JSON for people to read; with `indent` None, on one line."""
    return json.dumps(value, indent=indent, ensure_ascii=False)
