"""The values of rows that Python may be unable to represent, and what is wrong with them."""

from datetime import datetime
from typing import Any

from psycopg import DataError
from psycopg.types.datetime import TimestamptzLoader

from events.jsonb import loads


class LenientTimestamptzLoader(TimestamptzLoader):
    """A loader that returns the text of a moment that Python does not have, such as `infinity` and the year 10000."""

    def load(self, data: Any) -> Any:
        try:
            return super().load(data)
        except DataError:
            return bytes(data).decode()


def values_of(row: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a row with the values of its JSON text, and the reasons why fields of it cannot be read; these are None.

    Args:
        row: its moments are text if a `LenientTimestamptzLoader` could not load them.
    """
    values, reasons = dict(row), []
    for field in ("data", "metadata"):
        try:
            values[field] = loads(row[field])
        except ValueError as error:
            values[field] = None
            reasons.append(f"{field} {error}")
    for field in ("timestamp", "recorded_at"):
        if not isinstance(row[field], datetime):
            values[field] = None
            reasons.append(f"{field} is {row[field]}, and Python has the years 1 to 9999")
    return values, reasons
