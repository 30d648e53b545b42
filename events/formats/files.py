"""Files of events, JSON Lines and CSV, read line by line; the faults are named by their line."""

import csv
import gzip
import hashlib
import io
import itertools
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import tzinfo
from typing import IO, Any, NamedTuple, Protocol, TypeVar

import orjson

from events.conf import conf
from events.exceptions import InvalidEvent
from events.types import NewEvent

from .serialization import ADDED, from_json, moment, new_event_fields, uuid8

_CONTENT = json.JSONEncoder(sort_keys=True)
_CHUNK_LINES, _CHUNK_CHARACTERS = 500, 1024 * 1024  # that get their ids together
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


class _Read(NamedTuple):
    """A line that has been read: the fields of its event, by the names of `NewEvent`, or what is wrong with it."""

    number: int
    fields: dict[str, Any] | None
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

    No more of it is in memory than some lines. One that is longer than an event can be ends the file.
    """
    return _with_ids(_json_lines(file))


def read_csv(file: IO[str], columns: Columns, default_zone: tzinfo | None = None) -> Iterator[Line]:
    """Return an iterator over the events of a CSV file with a header line.

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
    return _with_ids(_csv_lines(reader, measured, columns, default_zone))


Some = TypeVar("Some", Line, _Read)


def in_batches(lines: Iterable[Some], count: int, characters: int) -> Iterator[list[Some]]:
    """Yield lists of `count` lines; of fewer, when they have so many characters together."""
    batch: list[Some] = []
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
            # The reader counts a line once it is done with it.
            yield _Read(reader.line_num + 1, None, InvalidEvent("line", f"is not CSV: {error}"))
        except InvalidEvent as error:
            yield _Read(reader.line_num, None, error)
        else:
            yield _Read(reader.line_num, fields, None, measured.taken())


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


def _from_json(number: int, line: bytes) -> _Read:
    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "surrogateescape")
    try:
        return _Read(number, new_event_fields(from_json(text), ignored=ADDED), None, len(line))
    except InvalidEvent as error:
        return _Read(number, None, error)
    except ValueError as error:
        return _Read(number, None, InvalidEvent("line", f"cannot be read as JSON: {error}"))


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
    """Yield the events of lines. Those without an id get one made from content and occurrence, so that an import can
    be repeated.

    Equal lines are different events: the second, third … occurrence of a content gets an id of its own. What has been
    seen is counted in a temporary database that SQLite moves to disk when it grows, so memory stays flat.
    """
    # Who reads ahead does so in a thread of its own, and may leave it to another to close this.
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
    except TypeError:  # an integer of more than 64 bits, half of a surrogate pair
        text = _CONTENT.encode(content).encode()
    return hashlib.sha256(text).digest()
