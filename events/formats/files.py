"""Files of events, JSON Lines and CSV, read line by line; errors name their line."""

import csv
import gzip
import hashlib
import io
import itertools
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import tzinfo
from typing import IO, Any, NamedTuple, Protocol, TypeVar

import orjson

from events.conf import conf
from events.exceptions import InvalidEvent
from events.storage.identity import uuid8
from events.types import NewEvent

from .serialization import ADDED, from_json, moment, new_event_fields

_CONTENT = json.JSONEncoder(sort_keys=True)
_CHUNK_LINES, _CHUNK_CHARACTERS = 500, 1024 * 1024  # the lines that get their ids together
# JSON may write a byte of text as six, such as \u0041 for A; a line also has the names of the fields.
_ESCAPED, _BESIDES = 6, 16 * 1024


class Readable(Protocol):
    """An object that can be read line by line, such as a file or the body of a request."""

    def readline(self, size: int, /) -> bytes: ...


class Line(NamedTuple):
    """An event of a file, or its error.

    Attributes:
        number: the number of the event's last line, from 1.
        characters: the approximate length of its lines.
    """

    number: int
    event: NewEvent | None
    error: InvalidEvent | None = None
    characters: int = 0


class _Read(NamedTuple):
    """A `Line` before its event has an id: the fields of the event, by the names of `NewEvent`, or an error."""

    number: int
    fields: dict[str, Any] | None
    error: InvalidEvent | None = None
    characters: int = 0


class Columns(NamedTuple):
    """The names of the columns of a CSV file; all other columns become data, as text."""

    aggregate_id: str
    type: str
    timestamp: str | None


def unpacked(file: IO[bytes], *, packed: bool) -> IO[bytes]:
    """Return the bytes of a file, unpacked if it is `packed` with gzip."""
    return gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[return-value]


def as_text(file: IO[bytes]) -> IO[str]:
    """Return the text of a UTF-8 file without its byte-order mark.

    Bytes that are not UTF-8 become surrogates. An event with surrogates is not valid, so the error names its line.
    """
    return io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")


def read_json_lines(file: Readable) -> Iterator[Line]:
    """Return an iterator over the events of a file with one JSON object a line; empty lines are skipped.

    Only some lines are in memory at a time. A line that is longer than any event ends the iteration with an error.
    """
    return _with_ids(_json_lines(file))


def read_csv(file: IO[str], columns: Columns, default_zone: tzinfo | None = None) -> Iterator[Line]:
    """Return an iterator over the events of a CSV file with a header line.

    Args:
        default_zone: the time zone of timestamps without one.

    Raises:
        InvalidEvent: a column of `columns` is not in the header, or a column is in it twice.
    """
    measured = _Measured(file)
    reader = csv.DictReader(measured, strict=True)
    try:
        header = reader.fieldnames or []
    except csv.Error as error:
        raise InvalidEvent("line 1", f"is not CSV: {error}") from None
    for column, count in Counter(header).items():
        if count > 1:
            raise InvalidEvent("column", f"{column!r} is in the header twice; rename one")
    for column in filter(None, columns):
        if column not in header:
            raise InvalidEvent("column", f"{column!r} is not in the header, which has: {', '.join(header) or 'none'}")
    return _with_ids(_csv_lines(reader, measured, columns, default_zone))


AnyLine = TypeVar("AnyLine", Line, _Read)


def in_batches(lines: Iterable[AnyLine], count: int, characters: int) -> Iterator[list[AnyLine]]:
    """Yield lists of `count` lines; a list ends earlier when its lines reach `characters` in total."""
    batch: list[AnyLine] = []
    length = 0
    for line in lines:
        batch.append(line)
        length += line.characters
        if len(batch) >= count or length >= characters:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _json_lines(file: Readable) -> Iterator[_Read]:
    longest = _longest_line()
    for number in itertools.count(1):
        line = file.readline(longest + 1)
        if not line:
            return
        if len(line) > longest:
            yield _Read(number, None, InvalidEvent("line", f"is longer than {longest:,} bytes; split the event"))
            return
        if line.strip():
            yield _from_json(number, line)


def _csv_lines(
    reader: "csv.DictReader[str]", measured: "_Measured", columns: Columns, default_zone: tzinfo | None
) -> Iterator[_Read]:
    while True:
        try:
            fields = _from_row(next(reader), columns, default_zone)
        except StopIteration:
            return
        except csv.Error as error:
            # The reader has not counted this line yet.
            yield _Read(reader.line_num + 1, None, InvalidEvent("line", f"is not CSV: {error}"))
        except InvalidEvent as error:
            yield _Read(reader.line_num, None, error)
        else:
            yield _Read(reader.line_num, fields, None, measured.take_count())


class _Measured:
    """The lines of a file, which counts their characters and rejects lines that are longer than any event."""

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

    def take_count(self) -> int:
        """Return the number of characters that were read since the last call."""
        characters, self._characters = self._characters, 0
        return characters


def _longest_line() -> int:
    return _ESCAPED * conf.max_event_bytes + _BESIDES


def _from_json(number: int, line: bytes) -> _Read:
    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
    try:
        return _Read(number, new_event_fields(from_json(text), ignored=ADDED), None, len(line))
    except InvalidEvent as error:
        return _Read(number, None, error)
    except ValueError as error:
        return _Read(number, None, InvalidEvent("line", f"is not valid JSON: {error}"))


def _from_row(row: dict[str, Any], columns: Columns, default_zone: tzinfo | None) -> dict[str, Any]:
    if None in row or None in row.values():
        raise InvalidEvent("line", "has more or fewer fields than the header")
    return {
        "aggregate_id": row[columns.aggregate_id],
        "type": row[columns.type],
        "data": {column: text for column, text in row.items() if column not in columns},
        "timestamp": moment(columns.timestamp, row[columns.timestamp], default_zone) if columns.timestamp else None,
    }


def _with_ids(lines: Iterator[_Read]) -> Iterator[Line]:
    """Yield lines with events. An event without an id gets one from its content, so that an import can be repeated.

    Equal lines are different events: each occurrence of a content gets its own id. A temporary database counts the
    occurrences; SQLite moves it to disk when it grows, so memory stays flat.
    """
    # One thread may read the lines and another may close this generator.
    with closing(sqlite3.connect("", isolation_level=None, check_same_thread=False)) as seen:
        seen.execute("CREATE TABLE seen (content BLOB PRIMARY KEY, occurrences INTEGER) WITHOUT ROWID")
        seen.execute("BEGIN")
        for chunk in in_batches(lines, _CHUNK_LINES, _CHUNK_CHARACTERS):
            _identify([line.fields for line in chunk if line.fields and not line.fields.get("event_id")], seen)
            for number, fields, error, characters in chunk:
                yield Line(number, NewEvent(**fields) if fields else None, error, characters)


def _identify(events: Sequence[dict[str, Any]], seen: sqlite3.Connection) -> None:
    contents = [_digest(fields) for fields in events]
    known = f"SELECT content, occurrences FROM seen WHERE content IN ({', '.join('?' * len(contents))})"  # noqa: S608
    occurrences = dict(seen.execute(known, contents))
    for fields, content in zip(events, contents, strict=True):
        occurrences[content] = occurrence = occurrences.get(content, 0) + 1
        fields["event_id"] = uuid8(hashlib.sha256(content + occurrence.to_bytes(8, "big")).digest())
    seen.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", occurrences.items())


def _digest(fields: dict[str, Any]) -> bytes:
    happened = fields.get("timestamp")
    content = [
        fields["aggregate_id"],
        fields["type"],
        happened and happened.isoformat(),
        fields.get("data", {}),
        fields.get("metadata", {}),
    ]
    try:
        text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # an integer of more than 64 bits, a lone surrogate
        text = _CONTENT.encode(content).encode()
    return hashlib.sha256(text).digest()
