"""Files of events, JSON Lines and CSV, read line by line; errors name their line."""

import codecs
import csv
import gzip
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from typing import IO, Any, NamedTuple, Protocol, Self, TypeVar
from uuid import UUID

import orjson

from events.conf import conf
from events.exceptions import InvalidEvent, Rejected
from events.types import NewEvent
from events.validation import ValidatedEvent, parsed_row, validate_events

from .serialization import ADDED, GIVEN, from_json, is_lossless, moment, new_event_fields

_FIELDS = frozenset((*GIVEN, *ADDED))
_NO_ID = UUID(int=0)
_PART = 64 * 1024  # characters of a long line that are read at once
# JSON may write a byte of text as six, such as \u0041 for A; a line also has the names of the fields.
_ESCAPED, _BESIDES = 6, 16 * 1024


class Readable(Protocol):
    """An object that can be read line by line, such as a file or the body of a request."""

    def readline(self, size: int, /) -> bytes: ...


class Line(NamedTuple):
    """An event of a file, or its error.

    Attributes:
        number: the number of the event's last line, from 1.
        row: the validated event.
        has_id: whether the file has the id of the event; if not, the id in `row` is to be replaced.
        characters: the approximate length of its lines.
    """

    number: int
    row: ValidatedEvent | None
    error: InvalidEvent | Rejected | None = None
    characters: int = 0
    has_id: bool = False


class LostLine(InvalidEvent):
    """The error of a line behind which nothing can be read, because it cannot be told where the next line begins."""


class _OtherFields(InvalidEvent):
    """The error of a row that has not the fields of the header."""


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


def read_json_lines(file: Readable, kind: type[NewEvent] = NewEvent) -> Iterator[Line]:
    """Return an iterator over the events of a file with one JSON object a line; empty lines are skipped.

    Only one line is in memory at a time. A line that is longer than any event is an error, and is passed over.

    Args:
        kind: `ReceivedEvent` for a file from a trusted store, whose metadata may have reserved keys.
    """
    longest, max_event_bytes = _longest_line(), conf.max_event_bytes
    for number in itertools.count(1):
        line = file.readline(longest + 1)
        if not line:
            return
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > longest:
            yield Line(
                number, None, InvalidEvent("line", f"is longer than {longest:,} bytes; split the event"), len(line)
            )
            _pass_over(file, line)
        elif line.strip():
            yield _quickly(number, line, max_event_bytes) or _strictly(number, line, kind)


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
    return _csv_lines(reader, measured, columns, default_zone)


class Measurable(Protocol):
    """An object with a length in characters, or bytes."""

    @property
    def characters(self) -> int: ...


Measured = TypeVar("Measured", bound=Measurable)


def in_batches(items: Iterable[Measured], count: int, characters: int) -> Iterator[list[Measured]]:
    """Yield lists of `count` items; a list ends earlier when its items reach `characters` in total."""
    batch: list[Measured] = []
    length = 0
    for item in items:
        batch.append(item)
        length += item.characters
        if len(batch) >= count or length >= characters:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


def _pass_over(file: Readable, line: bytes) -> None:
    """Read the rest of a line, without keeping it."""
    while line and not line.endswith(b"\n"):
        line = file.readline(_PART)


def _quickly(number: int, line: bytes, max_event_bytes: int) -> Line | None:
    """Return the event of a line that is plainly valid; None if `_strictly` must decide.

    One pass: what the checks need is computed once, and also serves the append. It accepts no line that `_strictly`
    does not accept, and returns the same event.
    """
    try:
        content = orjson.loads(line)
        if content.__class__ is not dict or not content.keys() <= _FIELDS or not is_lossless(content, line):
            return None
        happened, event_id = content.get("timestamp"), content.get("event_id")
        row = parsed_row(
            content.get("aggregate_id"),
            content.get("type"),
            content.get("data", {}),
            content.get("metadata", {}),
            None if happened is None else moment("timestamp", happened),
            _NO_ID if event_id is None else UUID(event_id),
            max_event_bytes,
        )
    except (AttributeError, InvalidEvent, TypeError, ValueError):
        return None
    return row and Line(number, row, None, len(line), event_id is not None)


def _strictly(number: int, line: bytes, kind: type[NewEvent]) -> Line:
    """Return the event of a line, or its error."""
    text = line.decode("utf-8", "surrogateescape")
    try:
        fields = new_event_fields(from_json(text), ignored=ADDED)
        return _validated(number, kind(**fields), len(line), has_id=fields.get("event_id") is not None)
    except InvalidEvent as error:
        return Line(number, None, error, len(line))
    except ValueError as error:
        return Line(number, None, InvalidEvent("line", f"is not valid JSON: {error}"), len(line))


def _validated(number: int, event: NewEvent, characters: int, *, has_id: bool) -> Line:
    (row,) = validate_events([event])
    return Line(number, row, None, characters, has_id)


def _csv_lines(
    reader: "csv.DictReader[str]", measured: "_Measured", columns: Columns, default_zone: tzinfo | None
) -> Iterator[Line]:
    while True:
        measured.begin_row()
        try:
            fields = _from_row(next(reader), columns, default_zone)
            line = _validated(measured.number, NewEvent(**fields), measured.characters, has_id=False)
        except StopIteration:
            return
        except csv.Error as error:
            line = Line(measured.number, None, measured.error(f"is not CSV: {error}"), measured.characters)
        except _OtherFields as error:
            line = Line(measured.number, None, measured.error(error.reason), measured.characters)
        except InvalidEvent as error:
            line = Line(measured.number, None, error, measured.characters)
        yield line
        if isinstance(line.error, LostLine):
            return


class _Measured:
    """The lines of a file, which counts their characters and rejects lines that are longer than any event.

    Attributes:
        number: the number of the last line that was read.
        characters: the length of the lines of the current row.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._longest = _longest_line()
        self._part = ""  # what was read last: a line, or a part of one that is too long
        self.number = 0
        self.begin_row()

    def begin_row(self) -> None:
        self._first_number = self.number + 1
        self.characters = self._quotes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self._read(self._longest + 1)
        if not self._part:
            raise StopIteration
        self.number += 1
        if len(self._part) > self._longest:
            raise csv.Error(f"a line is longer than {self._longest:,} characters")
        if not self._part.strip("\r\n") and self._first_number == self.number:
            self.begin_row()  # the reader passes over empty lines
        return self._part

    def error(self, reason: str) -> InvalidEvent:
        """Return the error of the current row, which has another form than the header, and pass over its line's rest.

        Inside a quotation a line end belongs to the field. So the next line is a row only if the quotations of this
        line are closed. Of a row of several lines it is not known which of them was meant to be the last.
        """
        ended = not self._part
        while self._part and not self._part.endswith(("\n", "\r")):
            self._read(_PART)
        if not ended and self._first_number == self.number and self._quotes % 2 == 0:
            return InvalidEvent("line", reason)
        return LostLine(
            "line",
            f"{reason}; the row begins in line {self._first_number}, and its quotation marks do not show"
            " where the next row begins, so nothing after it can be imported. Correct the quotation marks",
        )

    def _read(self, size: int) -> None:
        self._part = self._file.readline(size)
        self.characters += len(self._part)
        self._quotes += self._part.count('"')


def _longest_line() -> int:
    return _ESCAPED * conf.max_event_bytes + _BESIDES


def _from_row(row: dict[str, Any], columns: Columns, default_zone: tzinfo | None) -> dict[str, Any]:
    if None in row or None in row.values():
        raise _OtherFields("line", "has more or fewer fields than the header")
    return {
        "aggregate_id": row[columns.aggregate_id],
        "type": row[columns.type],
        "data": {column: text for column, text in row.items() if column not in columns},
        "timestamp": moment(columns.timestamp, row[columns.timestamp], default_zone) if columns.timestamp else None,
    }
