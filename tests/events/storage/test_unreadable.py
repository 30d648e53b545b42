"""The values of a row, and the reasons why some cannot be read."""

from datetime import UTC, datetime
from typing import Any

import pytest

from events.storage.unreadable import LenientTimestamptzLoader, values_of
from tests.support import UNREADABLE

NOW = datetime(2024, 5, 1, tzinfo=UTC)
ROW = {"data": '{"n": 1}', "metadata": "{}", "timestamp": NOW, "recorded_at": NOW}


def test_readable_row_has_its_values_and_no_reasons() -> None:
    assert values_of(ROW) == ({**ROW, "data": {"n": 1}, "metadata": {}}, [])


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_field_that_cannot_be_read_is_none_and_has_a_reason(field: str, text: str) -> None:
    values, reasons = values_of({**ROW, field: text})
    assert values[field] is None
    assert [reason.partition(" ")[0] for reason in reasons] == [field]


@pytest.mark.parametrize(
    ("text", "value"),
    [("2024-05-01 00:00:00+00", NOW), ("infinity", "infinity"), ("12000-01-01 00:00:00+00", "12000-01-01 00:00:00+00")],
)
def test_loader_returns_the_text_of_moments_that_python_does_not_have(text: str, value: Any) -> None:
    assert LenientTimestamptzLoader(0).load(text.encode()) == value
