"""Stored events as CSV, which `import_events` reads without further options."""

import csv
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from events.models import Event
from events.storage.rows import EventRow

from .serialization import UNREADABLE, to_json

COLUMNS = ("position", "aggregate_id", "version", "event_id", "type", "data", "metadata", "timestamp", "recorded_at")
HEADER = (*COLUMNS, UNREADABLE)
# Spreadsheets compute a cell that begins with =, +, - or @. The apostrophe is the mark itself.
_FORMULA = ("=", "+", "-", "@", "'")


def csv_lines(events: Iterable[Event | EventRow]) -> Iterator[str]:
    """Yield a header line and a line for each event, with its line end; `data` and `metadata` are JSON text.

    An event that is marked as unreadable has the reason as `unreadable`, and empty cells for what cannot be read.
    An id or a type that a spreadsheet would compute, or that begins with an apostrophe, gets an apostrophe in front;
    `without_mark` removes it.
    """
    writer = csv.writer(_Echo())
    yield writer.writerow(HEADER)
    for event in events:
        yield writer.writerow(_cells(event))


def without_mark(cell: str) -> str:
    """Return the aggregate id or the type that `csv_lines` has written as `cell`."""
    return cell.removeprefix("'")


class _Echo:
    """A file whose `write` returns the text, and so `writerow` the line."""

    def write(self, text: str) -> str:
        return text


class _Stored(NamedTuple):
    type: str
    data: Any
    metadata: Any


def _cells(event: Event | EventRow) -> list[Any]:
    stored = _Stored(event.stored_type, event.stored_data, event.stored_metadata) if isinstance(event, Event) else event
    return [
        event.position,
        _marked(event.aggregate_id),
        event.version,
        event.event_id,
        _marked(stored.type),
        _json(stored.data),
        _json(stored.metadata),
        event.timestamp and event.timestamp.isoformat(),
        event.recorded_at and event.recorded_at.isoformat(),
        getattr(event, UNREADABLE, None),
    ]


def _marked(name: str) -> str:
    return f"'{name}" if name and name.startswith(_FORMULA) else name


def _json(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else to_json(value).decode()
