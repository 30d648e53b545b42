"""Exceptions as text, whatever they are."""

import pytest

from events.exceptions import InvalidEvent
from events.summaries import MAX_CHARACTERS, message, summary


class WithoutText(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("error", "text", "line"),
    [
        (KeyError("x"), "'x'", "KeyError: 'x'"),
        (ValueError(), "ValueError", "ValueError"),
        (InvalidEvent("data.a", "is 5"), "data.a: is 5", "InvalidEvent: data.a: is 5"),
        (ValueError("two\n  lines"), "two lines", "ValueError: two lines"),
        (ValueError("\ud800\0é"), "\\ud800\\0é", "ValueError: \\ud800\\0é"),
        (WithoutText(), "its __str__ raised ZeroDivisionError", "WithoutText: its __str__ raised ZeroDivisionError"),
    ],
)
def test_text_of_an_exception(error: Exception, text: str, line: str) -> None:
    assert (message(error), summary(error)) == (text, line)


def test_text_is_short() -> None:
    error = ValueError("x" * 3_000_000)
    assert len(message(error)) == len(summary(error)) == MAX_CHARACTERS
