"""JSON values to the text of a `jsonb` column and back, without changing a value.

Three things would change values: `jsonb` writes `1e23` as an integer, which Python reads as a number that differs from
the float; orjson reads integers beyond 64 bits as floats; and orjson writes NaN as null and dates as strings. All three
are rare. So orjson converts a value first, and only a value that fails the check afterwards takes the slow way.
"""

import json
import math
import re
import sys
from typing import Any

import orjson

from .exceptions import InvalidEvent

# The deepest nesting that orjson writes; `jsonb` allows more.
MAX_DEPTH = 254
# The digits of the largest integer that is a float.
MAX_FLOAT_DIGITS = 309

# An integer beyond 64 bits has 19 digits or more. Every fourth character of such a number gives four digits in a row;
# looking for them first takes a third of the time.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# Both in a number that may have too many digits for a float, or for an integer.
_THREE_DIGITS = re.compile(r"[0-9]{3}")
_HUGE_NUMBER = re.compile(rf"[0-9]{{{MAX_FLOAT_DIGITS}}}")
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
# Longer text may be nested too deep: each level has a bracket that opens and one that closes.
_SHALLOW_CHARACTERS = 2 * MAX_DEPTH
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
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
        text = orjson.dumps(value)
        copy = orjson.loads(text)
    except (TypeError, ValueError):
        return _dumps_slowly(value, field)
    # The copy differs if orjson wrote a value that JSON does not have (NaN, a date, a UUID), or a tuple.
    if copy != value or b"\\u0000" in text:
        return _dumps_slowly(value, field)
    return _as_jsonb_keeps_it(text, copy)


def loads(text: str | bytes) -> Any:
    """Return the value of a `jsonb` column's `text`.

    Raises:
        ValueError: Python cannot represent the value: a number has too many digits, or the nesting is too deep.
    """
    if isinstance(text, bytes):
        text = text.decode()
    if text == "{}":  # most metadata
        return {}
    is_long = _FOUR_DIGITS.search(text[3::4]) and _LONG_NUMBER.search(text)
    try:
        value = _EXACT.decode(text) if is_long else orjson.loads(text)
    except (RecursionError, orjson.JSONDecodeError):
        if not is_long and not _may_be_too_deep(text):
            raise
        raise ValueError(_TOO_DEEP) from None
    if len(text) > _SHALLOW_CHARACTERS and _is_too_deep(text, value):
        raise ValueError(_TOO_DEEP)
    return value


def may_be_unreadable(text: str) -> bool:
    """Return whether `loads` may reject the text of a `jsonb` column; much faster than `loads`."""
    # Every hundredth character of a number that is too long gives three digits in a row.
    return (
        len(text) >= MAX_FLOAT_DIGITS and _THREE_DIGITS.search(text[::100]) and _HUGE_NUMBER.search(text) is not None
    ) or _may_be_too_deep(text)


def _may_be_too_deep(text: str) -> bool:
    return len(text) > _SHALLOW_CHARACTERS and text.count("[") + text.count("{") > MAX_DEPTH


def _is_too_deep(text: str, value: Any) -> bool:
    if not _may_be_too_deep(text):
        return False
    try:
        orjson.dumps(value)
    except TypeError:  # too deep, or an integer beyond 64 bits
        depth = 0
        for token in _STRING_OR_BRACKET.finditer(text):
            depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
            if depth > MAX_DEPTH:
                return True
    return False


def _integer(digits: str) -> int:
    limit = sys.get_int_max_str_digits()
    if 0 < limit < len(digits.lstrip("-")):
        raise ValueError(f"holds an integer of {len(digits):,} digits, and Python reads {limit:,}")
    return int(digits)


def _float(digits: str) -> float:
    value = float(digits)
    if math.isinf(value):
        raise ValueError("holds a number with decimals that is beyond the range of a float")
    return value


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


_EXACT = json.JSONDecoder(parse_int=_integer, parse_float=_float)
