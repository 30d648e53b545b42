"""Files of events, JSON Lines and CSV, read line by line; the faults are named by their line."""

import csv
import gzip
import hashlib
import io
import itertools
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import tzinfo
from typing import IO, Any, NamedTuple, Protocol

from .conf import conf
from .exceptions import InvalidEvent
from .interchange import ADDED, from_json, moment, new_event_from_dict, uuid8
from .types import NewEvent

_CONTENT = json.JSONEncoder(sort_keys=True)
# JSON may write a byte of text as six, as \u0041 for A; and there are the names beside the data.
_ESCAPED, _BESIDES = 6, 16 * 1024


class Readable(Protocol):
    """What can be read line by line: a file, the body of a request."""

    def readline(self, size: int, /) -> bytes: ...


class Line(NamedTuple):
    """One event of a file, or what is wrong with it.

    Attributes:
        number: that of its last line, counted from 1.
        characters: how long it is, about.
    """

    number: int
    event: NewEvent | None
    error: InvalidEvent | None = None
    characters: int = 0


class Columns(NamedTuple):
    """Which columns of a CSV file hold what; all others become data, as text."""

    aggregate_id: str
    type: str
    timestamp: str | None


def unpacked(file: IO[bytes], *, packed: bool) -> IO[bytes]:
    """Return the bytes of a file, unpacked when it is `packed` by gzip."""
    return gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[return-value]


def as_text(file: IO[bytes]) -> IO[str]:
    """Return the text of a UTF-8 file; a byte-order mark is left out.

    Bytes that are not UTF-8 pass as surrogates, which no event may hold: so they are reported with their line.
    """
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_json_lines(file: Readable) -> Iterator[Line]:
    """Yield the events of a file with one JSON object a line; empty lines are passed over.

    No more of it is in memory than one line. One that is longer than an event can be ends the file.
    """
    longest = _longest_line()
    with _event_ids() as identified:
        for number in itertools.count(1):
            line = file.readline(longest + 1)
            if not line:
                return
            if len(line) > longest:
                yield Line(number, None, InvalidEvent("line", f"is longer than {longest:,} bytes; split the event"))
                return
            if line.strip():
                yield _from_json(number, line, identified)


def read_csv(file: IO[str], columns: Columns, default_zone: tzinfo | None = None) -> Iterator[Line]:
    """Yield the events of a CSV file with a header line.

    Args:
        default_zone: the time zone of timestamps that name none.

    Raises:
        InvalidEvent: the header lacks a column of `columns`, or has one twice.
    """
    measured = _Measured(file)
    reader = csv.DictReader(measured, strict=True)
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
                yield Line(reader.line_num, identified(event), None, measured.taken())


class _Measured:
    """The lines of a file, none longer than an event can be; and how many characters were read since last asked."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._characters = 0

    def __iter__(self) -> Iterator[str]:
        longest = _longest_line()
        while line := self._file.readline(longest + 1):
            if len(line) > longest:
                raise csv.Error(f"a line is longer than {longest:,} characters")
            self._characters += len(line)
            yield line

    def taken(self) -> int:
        characters, self._characters = self._characters, 0
        return characters


def _longest_line() -> int:
    return _ESCAPED * conf.max_event_bytes + _BESIDES


def _from_json(number: int, line: bytes, identified: Callable[[NewEvent], NewEvent]) -> Line:
    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
    try:
        content = from_json(text)
        event = new_event_from_dict(content, ignored=ADDED)
        if not content.get("event_id"):
            event = identified(event)
    except InvalidEvent as error:
        return Line(number, None, error)
    except ValueError as error:
        return Line(number, None, InvalidEvent("line", f"cannot be read as JSON: {error}"))
    return Line(number, event, None, len(line))


def _from_row(row: dict[str, Any], columns: Columns, default_zone: tzinfo | None) -> NewEvent:
    if None in row or None in row.values():
        raise InvalidEvent("line", "has more or fewer fields than the header")
    return NewEvent(
        aggregate_id=row[columns.aggregate_id],
        type=row[columns.type],
        data={column: text for column, text in row.items() if column not in columns},
        timestamp=moment(columns.timestamp, row[columns.timestamp], default_zone) if columns.timestamp else None,
    )


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
            content = hashlib.sha256(_CONTENT.encode(fields).encode()).digest()
            (occurrence,) = seen.execute(
                "INSERT INTO seen VALUES (?, 1)"
                " ON CONFLICT DO UPDATE SET occurrences = occurrences + 1 RETURNING occurrences",
                [content],
            ).fetchone()
            digest = hashlib.sha256(content + occurrence.to_bytes(8, "big")).digest()
            return replace(event, event_id=uuid8(digest))

        yield identified
