"""Timestamps of CSV files: ISO 8601, a pattern of `strptime`, or a count since 1970."""

import re
import warnings
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal

from events.exceptions import InvalidEvent

from .serialization import moment, parsed_moment, shown

# The counts since 1970-01-01T00:00:00Z, in microseconds.
COUNTS = {"seconds": Decimal(1_000_000), "milliseconds": Decimal(1000), "microseconds": Decimal(1)}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A moment whose fields cannot be mistaken for each other, and what is left of it in coarser patterns.
_PROBE = datetime(2021, 12, 31, 14, 5, 7, 123456)
_PROBES = [
    _PROBE,
    _PROBE.replace(microsecond=0),
    _PROBE.replace(microsecond=0, second=0),
    _PROBE.replace(microsecond=0, second=0, minute=0),
    _PROBE.replace(microsecond=0, second=0, minute=0, hour=0),
]
_YEAR_FIRST = re.compile(r"\A(\d{4})/(\d\d?)/(\d\d?)(?=\D|\Z)")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{0,20})?")

TimestampReader = Callable[[str, str], datetime]


def timestamp_reader(pattern: str | None, default_zone: tzinfo | None) -> TimestampReader:
    """Return the function that returns the moment of a field with a text.

    Without a pattern, the text is ISO 8601, also with slashes for dashes (`2014/10/22 11:15:41`). The order of day and
    month in any other text is not certain, so it needs a pattern.

    Args:
        pattern: a key of `COUNTS`, or a pattern of `datetime.strptime`.
        default_zone: the time zone of a text without one.

    Raises:
        ValueError: the pattern is not one of `strptime`, or it leaves out a part of the date or of the time.
    """
    if pattern in COUNTS:
        return _count_reader(pattern, COUNTS[pattern])
    if pattern:
        _check_pattern(pattern)

    def read(field: str, text: str) -> datetime:
        iso = _by_pattern(field, text, pattern) if pattern else _YEAR_FIRST.sub(_with_dashes, text, count=1)
        try:
            return moment(field, iso, default_zone)
        except InvalidEvent as error:
            raise InvalidEvent(field, error.reason + _hint(iso, default_zone)) from None

    return read


def _hint(iso: str, default_zone: tzinfo | None) -> str:
    """Return which option helps to read a text that `moment` rejects."""
    with suppress(OverflowError):
        value = parsed_moment(iso)
        if value is None:
            return "; if it has another format, pass --timestamp-format"
        if value.tzinfo is None and default_zone is None:
            return ", or pass --timezone"
    return ""


def _check_pattern(pattern: str) -> None:
    """Check that nothing of a moment is guessed, such as the year, the day or the half of the day."""
    if "%Z" in pattern.replace("%%", ""):
        raise ValueError("strptime reads the name of a time zone (%Z), but ignores it; use %z, or pass --timezone")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.13 warns of a day without a year
            found = datetime.strptime(_PROBE.replace(tzinfo=UTC).strftime(pattern), pattern)
        if found.replace(tzinfo=None) in _PROBES:
            return
        reason = "does not give year, month, day and the whole hour"
    except (ValueError, re.error) as error:
        reason = f"is not a pattern of strptime: {error}"
    raise ValueError(f"{pattern!r} {reason}; give one such as %d/%m/%Y %H:%M, or {', '.join(COUNTS)}")


def _by_pattern(field: str, text: str, pattern: str) -> str:
    try:
        return datetime.strptime(text, pattern).isoformat()
    except ValueError:
        raise InvalidEvent(field, f"{shown(text)} does not match the timestamp format {pattern!r}") from None


def _count_reader(unit: str, microseconds: Decimal) -> TimestampReader:
    def read(field: str, text: str) -> datetime:
        try:
            if _NUMBER.fullmatch(text):
                return _EPOCH + timedelta(microseconds=round(Decimal(text) * microseconds))
        except OverflowError:
            pass
        raise InvalidEvent(
            field, f"{shown(text)} is not a number of {unit} since 1970, or lies outside the years 1 to 9999"
        )

    return read


def _with_dashes(found: re.Match[str]) -> str:
    year, month, day = found.groups()
    return f"{year}-{month:0>2}-{day:0>2}"
