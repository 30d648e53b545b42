"""JSON values to the text of a `jsonb` column and back, without changing a value on the way.

Three things would: `jsonb` writes `1e23` as an integer, which Python then reads as another number than the float;
orjson reads integers beyond 64 bits as floats; and orjson writes NaN as null and dates as strings. All three are rare,
so the quick way is taken first and checked, and only what fails the check goes the slow way.
"""

import json
import math
import re
from typing import Any

import orjson

from .exceptions import InvalidEvent

# The nesting that orjson writes; `jsonb` itself would take more.
MAX_DEPTH = 254

# In the text of a value: digits so many that they may be an integer beyond 64 bits. Wherever 19 digits stand in a row,
# four of them in a row are among every fourth character, which are looked at first: it takes a third of the time.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# A string, to be skipped; or a number `jsonb` would change: one with a positive exponent (to an integer), or -0.0.
_STRING_OR_CHANGED = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?[eE]\+?\d+|-0\.0(?!\d)')
# The exponent alone, to look for first: what begins with a letter is found three times as quickly.
_EXPONENT = re.compile(rb"e(?<=\de)\+?\d")


def dumps(value: Any, field: str) -> tuple[bytes, Any]:
    """Return the JSON text of `value`, and `value` as it will be read back (a copy of its own, tuples as lists).

    Raises:
        InvalidEvent: naming the path below `field` where there is something that JSON or `jsonb` cannot hold.
    """
    try:
        text = orjson.dumps(value)
        copy = orjson.loads(text)
    except (TypeError, ValueError):
        return _dumps_slowly(value, field)
    # Not equal: orjson took something for JSON that is not (NaN, a date, a UUID), or there is a tuple.
    if copy != value or b"\\u0000" in text:
        return _dumps_slowly(value, field)
    return _as_jsonb_keeps_it(text, copy)


def loads(text: str | bytes) -> Any:
    """Return the value of a `jsonb` column's `text`."""
    if isinstance(text, bytes):
        text = text.decode()
    if text == "{}":  # as most metadata are
        return {}
    is_long = _FOUR_DIGITS.search(text[3::4]) and _LONG_NUMBER.search(text)
    return json.loads(text) if is_long else orjson.loads(text)


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
    # A point keeps it a float in `jsonb`, which stores decimals with the digits they were given, but no sign of zero.
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
            raise InvalidEvent(path, f"{value} is not a JSON number; use null or a string")
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
        raise InvalidEvent(path, "holds a NUL character, which PostgreSQL does not store; remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidEvent(path, "holds half of a surrogate pair, which is no text; repair its encoding") from None


def _check_integer(value: int, path: str) -> None:
    try:
        str(value)
    except ValueError:
        raise InvalidEvent(path, "is an integer of more digits than Python converts; use a string") from None


# What many readers of lines take for the end of one, Python's `splitlines` and httpx among them.
_LINE_ENDS = {each.encode(): b"\\u%04x" % ord(each) for each in "\x85\u2028\u2029"}


def in_one_line(text: bytes) -> bytes:
    """Return JSON `text` written so that nothing in it ends a line, for whoever reads it line by line."""
    for line_end, escaped in _LINE_ENDS.items():
        text = text.replace(line_end, escaped)
    return text


def pretty(value: Any, indent: int | None = 2) -> str:
    """Return `value` as JSON for people to read; with `indent` None in one line."""
    return json.dumps(value, indent=indent, ensure_ascii=False)
