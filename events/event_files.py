"""Files of events: JSON Lines and CSV read line by line, the faults named by their line; JSON Lines written."""

import csv
import gzip
import hashlib
import io
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import tzinfo
from typing import IO, Any, NamedTuple, NoReturn
from uuid import UUID

from .exceptions import InvalidEvent
from .interchange import ADDED, event_as_dict, moment, new_event_from_dict
from .models import Event
from .types import NewEvent


class Line(NamedTuple):
    """One event of a file, or what is wrong with it. `number` is that of its last line, counted from 1."""

    number: int
    event: NewEvent | None
    error: InvalidEvent | None = None


class Columns(NamedTuple):
    """Which columns of a CSV file hold what; all others become data, as text."""

    aggregate_id: str
    type: str
    timestamp: str | None


def as_text(file: IO[bytes], *, packed: bool) -> IO[str]:
    """Return the text of a UTF-8 file, unpacked when it is `packed` by gzip; a byte-order mark is left out.

    Bytes that are not UTF-8 pass as surrogates, which no event may hold: so they are reported with their line.
    """
    unpacked: Any = gzip.GzipFile(fileobj=file) if packed else file
    return io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_json_lines(file: Iterable[str]) -> Iterator[Line]:
    """Yield the events of a file with one JSON object a line; empty lines are passed over."""
    with _event_ids() as identified:
        for number, text in enumerate(file, start=1):
            if not text.strip():
                continue
            try:
                content = json.loads(text, parse_constant=_no_number)
                event = new_event_from_dict(content, ignored=ADDED)
                if not content.get("event_id"):
                    event = identified(event)
            except (ValueError, RecursionError) as error:
                yield Line(number, None, InvalidEvent("line", f"is not JSON: {error}"))
            except InvalidEvent as error:
                yield Line(number, None, error)
            else:
                yield Line(number, event)


def read_csv(file: Iterable[str], columns: Columns, default_zone: tzinfo | None = None) -> Iterator[Line]:
    """Yield the events of a CSV file with a header line.

    Args:
        default_zone: the time zone of timestamps that name none.

    Raises:
        InvalidEvent: the header lacks a column of `columns`, or has one twice.
    """
    reader = csv.DictReader(file, strict=True)
    try:
        header = reader.fieldnames or []
    except csv.Error as error:
        raise InvalidEvent("line 1", f"is not CSV: {error}") from None
    for column in header:
        if header.count(column) > 1:
            raise InvalidEvent("column", f"{column!r} stands in the header twice; rename one")
    for column in filter(None, columns):
        if column not in header:
            raise InvalidEvent("column", f"there is no {column!r}; the file has: {', '.join(header) or 'none'}")
    with _event_ids() as identified:
        while True:
            try:
                event = _from_row(next(reader), columns, default_zone)
            except StopIteration:
                return
            except csv.Error as error:
                # The reader counts a line once it is done with it.
                yield Line(reader.line_num + 1, None, InvalidEvent("line", f"is not CSV: {error}"))
            except InvalidEvent as error:
                yield Line(reader.line_num, None, error)
            else:
                yield Line(reader.line_num, identified(event))


def json_line(event: Event) -> str:
    """Return a stored event as a line of an export."""
    return json.dumps(event_as_dict(event), ensure_ascii=False, separators=(",", ":")) + "\n"


def _from_row(row: dict[str, Any], columns: Columns, default_zone: tzinfo | None) -> NewEvent:
    if None in row or None in row.values():
        raise InvalidEvent("line", "has more or fewer fields than the header")
    return NewEvent(
        aggregate_id=row[columns.aggregate_id],
        type=row[columns.type],
        data={column: text for column, text in row.items() if column not in columns},
        timestamp=moment(columns.timestamp, row[columns.timestamp], default_zone) if columns.timestamp else None,
    )


def _no_number(name: str) -> NoReturn:
    raise InvalidEvent("line", f"holds {name}, which is not JSON")


@contextmanager
def _event_ids() -> Iterator[Callable[[NewEvent], NewEvent]]:
    """Give events ids made from content and occurrence, so that an import can be repeated.

    Equal lines are different events: the second, third … occurrence of a content gets an id of its own. What has been
    seen is counted in a temporary database that SQLite moves to disk when it grows, so memory stays flat.
    """
    with closing(sqlite3.connect("", isolation_level=None)) as seen:
        seen.execute("CREATE TABLE seen (content BLOB PRIMARY KEY, occurrences INTEGER) WITHOUT ROWID")
        seen.execute("BEGIN")

        def identified(event: NewEvent) -> NewEvent:
            happened = event.timestamp and event.timestamp.isoformat()
            fields = [event.aggregate_id, event.type, happened, event.data, event.metadata]
            content = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).digest()
            (occurrence,) = seen.execute(
                "INSERT INTO seen VALUES (?, 1)"
                " ON CONFLICT DO UPDATE SET occurrences = occurrences + 1 RETURNING occurrences",
                [content],
            ).fetchone()
            digest = hashlib.sha256(content + occurrence.to_bytes(8, "big")).digest()
            return replace(event, event_id=_uuid8(digest))

        yield identified


def _uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8, whose bits are the application's own (RFC 9562, section 5.8)."""
    bits = int.from_bytes(digest[:16], "big")
    bits = bits & ~(0xF << 76) | (8 << 76)
    return UUID(int=bits & ~(0b11 << 62) | (0b10 << 62))
