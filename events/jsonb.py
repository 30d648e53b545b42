"""JSON values to the text of a `jsonb` column and back, without changing a value.

Three things would change values: `jsonb` writes `1e23` as an integer, which Python reads as a number that differs from
the float; orjson reads integers beyond 64 bits as floats; and orjson writes NaN as null and dates as strings. All three
are rare. So orjson converts a value first, and only a value that fails the check afterwards takes the slow way.
"""

import json
import math
import re
import sys
from collections.abc import Mapping
from decimal import Decimal
from itertools import chain
from typing import Any

import orjson

from .exceptions import InvalidEvent

# The deepest nesting that orjson writes; `jsonb` allows more.
MAX_DEPTH = 254
# orjson writes closing brackets without reserving room for them (seen up to 3.13). Many at once, at the end of a deep
# value, can overwrite the memory behind its buffer and end the process. So it gets no deep values.
_MAX_ORJSON_DEPTH = 30
_SCALARS = frozenset((str, int, float, bool, type(None)))
_MANY = 100_000
# The digits of the largest integer that is a float.
MAX_FLOAT_DIGITS = 309

# An integer beyond 64 bits has 19 digits or more. Every fourth character of such a number gives four digits in a row;
# looking for them first takes a third of the time.
_LONG_NUMBER = re.compile(r"[0-9]{19}")
_FOUR_DIGITS = re.compile(r"[0-9]{4}")
# Both in a number that may have too many digits for a float, or for an integer.
_THREE_DIGITS = re.compile(r"[0-9]{3}")
_HUGE_NUMBER = re.compile(rf"[0-9]{{{MAX_FLOAT_DIGITS}}}")
# Longer text may be nested too deep: each level has a bracket that opens and one that closes.
_SHALLOW_CHARACTERS = 2 * MAX_DEPTH
_TOO_DEEP = f"is nested more than {MAX_DEPTH} levels deep"
# A string, to skip; or a number that `jsonb` changes: one with a positive exponent (to an integer), or -0.0. The search
# begins only before the first digit of a number, and gives no digit back: otherwise an integer of thousands of digits
# would be read as often as it has digits.
_STRING_OR_CHANGED = re.compile(
    rb'"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d++(?:\.\d++)?[eE]\+?\d+|-0\.0(?!\d)',
)
# A string, to skip; or a number with a negative exponent, which `jsonb` returns with all its zeros.
_STRING_OR_SMALL = re.compile(rb'"(?:[^"\\]|\\.)*"|(?<![\d.])-?\d++(?:\.\d++)?e-\d+')
_NONZERO = re.compile(r"[-.0]*[1-9]")  # before an exponent
_MOST_ZEROS = 342  # 5e-324 with the 17 digits that a float may have
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
        try:  # an integer beyond 64 bits, or a deep value
            text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
            copy = loads(text)
        except (RecursionError, TypeError, ValueError):
            return _dumps_slowly(value, field)
    # The copy differs if a value was written that JSON does not have (NaN, a date, a UUID), or a tuple.
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
    return _may_be_too_deep(text) and is_deeper(value, MAX_DEPTH)


def _integer(text: str) -> int:
    digits, limit = len(text.lstrip("-")), sys.get_int_max_str_digits()
    if 0 < limit < digits:
        raise ValueError(f"holds an integer of {digits:,} digits, and Python reads {limit:,}")
    return int(text)


def double(text: str) -> float | None:
    """Return the float of a JSON number; None if it is infinite, or zero although the number is not."""
    value = float(text)
    if math.isinf(value) or (not value and _NONZERO.match(text)):
        return None
    return value


def _float(text: str) -> float:
    value = double(text)
    if value is None:
        raise ValueError("holds a number with decimals that is too large or too small for a float")
    return value


def stored_bytes(text: bytes, limit: int) -> int:
    """Return the bytes of JSON `text` from `dumps` with its numbers written out, as a read returns them.

    1e-300 takes 6 bytes here, and 302 bytes in each reader. The result is exact only if it can be above `limit`.
    """
    if most_stored_bytes(text) <= limit:
        return len(text)
    return len(_STRING_OR_SMALL.sub(_with_zeros, text))


def most_stored_bytes(text: bytes) -> int:
    """Return a number that `stored_bytes` never exceeds; much faster."""
    return len(text) + _MOST_ZEROS * text.count(b"e-")


def _with_zeros(match: re.Match[bytes]) -> bytes:
    token = match[0]
    return token if token.startswith(b'"') else f"{Decimal(token.decode()):f}".encode()


def equal(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal as `jsonb` compares them: 1 equals 1.0, but not true."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(map(equal, one.values(), map(other.get, one)))
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def encode(value: Any, *, sort_keys: bool = False) -> bytes:
    """Return the JSON text that orjson writes for a value; all other modules call orjson for it through this function.

    Raises:
        TypeError: orjson cannot write the value, or it is nested more than 30 levels deep.
    """
    if is_deeper(value, _MAX_ORJSON_DEPTH):
        raise TypeError("nested too deep for orjson")
    # `is_deeper` does not look into dataclasses, which JSON does not have anyway.
    option = orjson.OPT_PASSTHROUGH_DATACLASS
    return orjson.dumps(value, option=option | orjson.OPT_SORT_KEYS if sort_keys else option)


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether objects and lists are nested more than `levels` deep in a value.

    It goes down one level at a time, because a call for each object and list takes three times as long.
    """
    level: list[Any] = [value] if isinstance(value, (dict, list, tuple)) else []
    for _ in range(levels):
        if not level:
            return False
        members = [each.values() if isinstance(each, dict) else each for each in level]
        level = [
            item
            for item in chain.from_iterable(members)
            if item.__class__ not in _SCALARS and isinstance(item, (dict, list, tuple))
        ]
        if len(level) > _MANY:  # perhaps a list that contains itself twice
            level = list({id(item): item for item in level}.values())
    return bool(level)


def _dumps(value: Any) -> bytes:
    # A copy: the bytes that orjson returns keep a buffer of 4 KiB, however short they are.
    return b"%b" % encode(value)


def _dumps_slowly(value: Any, field: str) -> tuple[bytes, Any]:
    try:
        _check(value, MAX_DEPTH)
    except _Unrepresentable as found:
        path = "".join([field, *reversed(found.steps)])
        raise InvalidEvent(f"{path[:60]}…" if found.is_too_deep else path, found.reason) from None
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


class _Unrepresentable(Exception):
    """A part of a value cannot be represented. The steps of its path are in reverse order.

    Only an error has a path. If each value got one, a long key would be copied for every value below it.
    """

    def __init__(self, reason: str, *, is_too_deep: bool = False) -> None:
        self.reason = reason
        self.is_too_deep = is_too_deep
        self.steps: list[str] = []


def _check(value: Any, depth: int) -> None:
    if depth == 0 and isinstance(value, (dict, list, tuple)):
        raise _Unrepresentable(f"is nested more than {MAX_DEPTH} levels deep; flatten it", is_too_deep=True)
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, int):
        _check_integer(value)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise _Unrepresentable(f"is {value}, which is not a JSON number; use null or a string")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _Unrepresentable(f"has the key {key!r}; the keys of a JSON object are strings")
            _check_text(key)
            _check_member(item, f".{key}", depth - 1)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _check_member(item, f"[{index}]", depth - 1)
    else:
        raise _Unrepresentable(
            f"is a {type(value).__name__}, which JSON does not have; turn it into a string or number"
        )


def _check_member(value: Any, step: str, depth: int) -> None:
    try:
        _check(value, depth)
    except _Unrepresentable as found:
        found.steps.append(step)
        raise


def _check_text(value: str) -> None:
    if "\0" in value:
        raise _Unrepresentable("contains a NUL character, which PostgreSQL does not store; remove it")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _Unrepresentable("contains a lone surrogate, which is not text; repair its encoding") from None


def _check_integer(value: int) -> None:
    try:
        str(value)
    except ValueError:
        raise _Unrepresentable("is an integer of more digits than Python converts; use a string") from None


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
