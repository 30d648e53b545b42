"""Timestamps are read exactly, or not at all."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from events.exceptions import InvalidEvent
from events.formats.csv_times import timestamp_reader

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("pattern", "text", "iso"),
    [
        (None, "2014/10/22 11:15:41.000", "2014-10-22T09:15:41"),
        (None, "2014/1/2 11:15", "2014-01-02T10:15:00"),
        (None, "2014/10/22T11:15:41Z", "2014-10-22T11:15:41"),
        ("%d/%m/%Y %H:%M", "31/12/2020 14:05", "2020-12-31T13:05:00"),
        ("%m/%d/%y %I:%M %p", "12/31/20 02:05 PM", "2020-12-31T13:05:00"),
        ("%d.%m.%Y %H:%M:%S %z", "31.12.2020 14:05:00 +0000", "2020-12-31T14:05:00"),
        ("seconds", "1609423500", "2020-12-31T14:05:00"),
        ("seconds", "1609423500.123456", "2020-12-31T14:05:00.123456"),
        ("seconds", "-0.5", "1969-12-31T23:59:59.500000"),
        ("milliseconds", "1609423500001", "2020-12-31T14:05:00.001000"),
        ("microseconds", "1609423500000001", "2020-12-31T14:05:00.000001"),
    ],
)
def test_text_is_a_moment(pattern: str | None, text: str, iso: str) -> None:
    assert timestamp_reader(pattern, BERLIN)("when", text) == datetime.fromisoformat(iso).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (None, "10/22/2014"),
        (None, "1609423500"),
        (None, "14/10/22 11:15"),
        (None, ""),
        ("%d/%m/%Y", "12/31/2020"),
        ("%d/%m/%Y", ""),
        ("seconds", "2020-12-31"),
        ("seconds", "9" * 20),
        ("seconds", "9" * 5000),
        ("seconds", "1e9"),
        ("seconds", "NaN"),
        ("seconds", "1_000"),
        ("seconds", "١٦٠٩٤٢٣٥٠٠"),
        ("milliseconds", " 1"),
    ],
)
def test_any_other_text_is_an_error_of_its_field(pattern: str | None, text: str) -> None:
    with pytest.raises(InvalidEvent, match=r"^when: ") as caught:
        timestamp_reader(pattern, BERLIN)("when", text)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        *[(each, "does not give year, month, day") for each in ("%d/%m", "%m/%Y", "%H:%M", "%%Y", "second")],
        *[(each, "does not give .* the whole hour") for each in ("%d/%m/%Y %I:%M", "%Y%m%d %M", "%Y%m%d %H %S")],
        *[(each, "is not a pattern of strptime") for each in ("%q", "%Y-%m-%", "%Y-%m-%d %-H", "%Y %Y-%m-%d %H:%M")],
        ("%Y-%m-%d %H:%M %Z", "ignores it; use %z"),
    ],
)
def test_pattern_that_leaves_something_to_guess_is_rejected(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        timestamp_reader(pattern, None)


@pytest.mark.parametrize(
    "pattern", ["%d/%m/%y", "%c", "%Y-%j %H", "%G-%V-%u", "%d %b %Y %I:%M:%S.%f %p %z", "%%%Y%m%d"]
)
def test_any_pattern_of_a_whole_moment_is_taken(pattern: str) -> None:
    timestamp_reader(pattern, None)
