"""Durations are said in a unit in which they are easy to read."""

import pytest

from events.admin.durations import format_duration

TEXTS = {
    0: "0 s",
    0.0004: "0 ms",
    0.012: "12 ms",
    1: "1 s",
    119: "119 s",
    120: "2 min",
    7200: "2 h",
    900_000: "10 d",
    -0.012: "−12 ms",
    -7200: "−2 h",
}


@pytest.mark.parametrize(("seconds", "text"), TEXTS.items())
def test_durations_are_said_in_their_unit(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text
