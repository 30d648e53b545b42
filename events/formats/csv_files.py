"""Files of events as CSV, with named columns or in the form that `csv_export` writes."""

import csv
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Any, Self
from uuid import UUID

from events.exceptions import InvalidEvent
from events.types import NewEvent, ReceivedEvent

from .csv_dialect import declared_delimiter, dialect_of
from .csv_export import HEADER, without_mark
from .csv_times import TimestampReader
from .files import PART, Line, LostLine, kept, kind_of, longest_line, not_in_encoding, validated
from .serialization import ADDED, UNREADABLE, from_json, new_event_fields, shown, uuid_of
from .text import has_lost_bytes

_SAMPLE_LINES, _SAMPLE_CHARACTERS = 20, 64 * 1024


@dataclass(frozen=True, kw_only=True)
class CsvFormat:
    """How to read a CSV file. All columns that are not named here become data, as text.

    Attributes:
        read_timestamp: reads the moments.
        aggregate_id, type: the columns with the aggregate id and the event type. Without them, the file must have the
            columns that `csv_export` writes.
        timestamp: the column with the moment; None: the events have the moment of storing.
        event_id: the column with the event id.
        metadata: the columns that become metadata.
        category: put before each aggregate id, with a dash.
        derive_id: returns an event id for the text of the column `event_id` that is not a UUID; None: it is an error.
        delimiter: what separates the columns; None: the character that splits the header into the named columns.
        ragged: whether rows may lack their last cells, or have further empty ones.
    """

    read_timestamp: TimestampReader
    aggregate_id: str | None = None
    type: str | None = None
    timestamp: str | None = None
    event_id: str | None = None
    metadata: Sequence[str] = ()
    category: str | None = None
    derive_id: Callable[[str], UUID] | None = None
    delimiter: str | None = None
    ragged: bool = False

    @property
    def columns(self) -> Collection[str]:
        """The columns that the header must have."""
        named = (self.aggregate_id, self.type, self.timestamp, self.event_id)
        return [*filter(None, named), *self.metadata] or HEADER


class CsvFile:
    """The events of a CSV file with a header line; iterate over it once.

    Attributes:
        dialect: the dialect of the file.
        data_columns: the columns that `form` does not name.
        preamble: its lines up to the header, as they are in the file, in UTF-8.
    """

    def __init__(self, file: IO[str], form: CsvFormat, *, encoding: str = "UTF-8", keep: bool = False) -> None:
        """
        Args:
            encoding: what errors call the encoding of the file.
            keep: whether each line keeps its text.

        Raises:
            InvalidEvent: the header lacks columns of `form`, has a column twice, or its delimiter is not certain.
        """
        csv.field_size_limit(longest_line())  # the default is shorter than the data of a large event
        self._form = form
        self._encoding = encoding
        self._measured = _Measured(file)
        try:
            self._skip_empty_lines()
            delimiter = self._skip_declaration()
            sample = self._measured.ahead()
            if has_lost_bytes("".join(sample[:1])):
                raise not_in_encoding("header", encoding)
            self.dialect = dialect_of(sample, form.columns, form.delimiter or delimiter)
            self._reader = self.dialect.reader(self._measured)
            self._header = self._whole_header(next(self._reader))
        except csv.Error as error:
            raise InvalidEvent("header", f"is not CSV: {error}") from None
        self.preamble = self._measured.raw()
        self._measured.keep = keep
        named = form.columns
        self.data_columns = [column for column in self._header if column not in named]

    def __iter__(self) -> Iterator[Line]:
        measured = self._measured
        while True:
            measured.begin_row()
            try:
                row = next(self._reader)
                if not any(row):
                    continue  # an empty line, or a row of empty cells, as spreadsheets write below a table
                line = self._line(row)
            except StopIteration:
                return
            except csv.Error as error:
                line = self._bad(measured.error(f"is not CSV: {error}"))
            except _OtherFields as error:
                line = self._bad(measured.error(error.reason))
            except InvalidEvent as error:
                line = self._bad(not_in_encoding("line", self._encoding) if has_lost_bytes("".join(row)) else error)
            yield line._replace(raw=measured.raw()) if measured.keep else line
            if isinstance(line.error, LostLine):
                return

    def _skip_declaration(self) -> str | None:
        """Pass over a first line such as `sep=;`, and return its delimiter."""
        delimiter = declared_delimiter(next(iter(self._measured.ahead()), ""))
        if delimiter:
            next(self._measured)
            self._skip_empty_lines()
        return delimiter

    def _skip_empty_lines(self) -> None:
        while (lines := self._measured.ahead()) and not lines[0].strip():
            next(self._measured)

    def _whole_header(self, header: list[str]) -> list[str]:
        if self._form.ragged:
            while header and not header[-1]:
                header.pop()
        for column, count in Counter(header).items():
            if count > 1:
                raise InvalidEvent("column", f"{column!r} is in the header twice; rename one")
        return header

    def _line(self, row: list[str]) -> Line:
        cells = self._cells(row)
        event, has_id = self._named(cells) if self._form.aggregate_id else _exported(cells)
        return validated(self._measured.number, event, self._measured.characters, has_id=has_id)

    def _bad(self, error: InvalidEvent) -> Line:
        return Line(self._measured.number, None, error, self._measured.characters)

    def _cells(self, row: list[str]) -> dict[str, str]:
        count = len(self._header)
        if self._form.ragged and not any(row[count:]):
            row = row[:count] + [""] * (count - len(row))
        if len(row) != count:
            few = "; if its last cells are empty, pass --ragged" if len(row) < count and not self._form.ragged else ""
            raise _OtherFields("line", f"has {len(row)} fields, but the header has {count}{few}")
        return dict(zip(self._header, row, strict=True))

    def _named(self, cells: dict[str, str]) -> tuple[NewEvent, bool]:
        form = self._form
        aggregate_id = cells[form.aggregate_id]  # type: ignore[index]
        if form.category and aggregate_id:
            aggregate_id = f"{form.category}-{aggregate_id}"
        fields: dict[str, Any] = {
            "aggregate_id": aggregate_id,
            "type": cells[form.type],  # type: ignore[index]
            "data": {column: cells[column] for column in self.data_columns},
            "metadata": {column: cells[column] for column in form.metadata},
        }
        if form.event_id:
            fields["event_id"] = self._event_id(cells[form.event_id])
        if form.timestamp:
            fields["timestamp"] = form.read_timestamp(form.timestamp, cells[form.timestamp])
        return NewEvent(**fields), bool(form.event_id)

    def _event_id(self, text: str) -> UUID:
        try:
            return uuid_of(text)
        except InvalidEvent:
            if text and self._form.derive_id:
                return self._form.derive_id(text)
        reason = (
            "is not a UUID. To derive the ids of the events from this column, name the source of the file: --source"
        )
        raise InvalidEvent(self._form.event_id or "", f"{shown(text)} {reason if text else 'is not an event id'}")


def _exported(cells: dict[str, str]) -> tuple[NewEvent, bool]:
    """Return the event of a row that `csv_export` has written."""
    if cells[UNREADABLE]:
        raise InvalidEvent(UNREADABLE, "the store could not read this event; export it as JSON Lines")
    content: dict[str, Any] = {name: cells[name] for name in HEADER if name != UNREADABLE}
    for name in ("aggregate_id", "type"):
        content[name] = without_mark(content[name])
    for name in ("data", "metadata"):
        try:
            content[name] = from_json(content[name])
        except ValueError as error:
            raise InvalidEvent(name, f"is not valid JSON: {error}") from None
    return kind_of(content, ReceivedEvent)(**new_event_fields(content, ignored=ADDED)), True


class _OtherFields(InvalidEvent):
    """The error of a row that lacks fields of the header, or has more."""


class _Measured:
    """The lines of a file, which counts their characters and rejects lines that are longer than any event.

    Attributes:
        number: the number of the last line that was read.
        characters: the length of the lines of the current row.
        keep: whether to keep the lines of the current row.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._longest = longest_line()
        self._ahead: deque[str] = deque()
        self._part = ""  # what was read last: a line, or a part of one that is too long
        self.number = 0
        self.keep = True
        self.begin_row()

    def begin_row(self) -> None:
        self._first_number = self.number + 1
        self.characters = self._quotes = 0
        self._file_of_row: IO[bytes] | None = None
        self._kept: list[bytes] = []

    def ahead(self) -> Sequence[str]:
        """Return the next lines, which are still to be read."""
        lines, characters = len(self._ahead), sum(map(len, self._ahead))
        while lines < _SAMPLE_LINES and characters < _SAMPLE_CHARACTERS:
            line = self._file.readline(self._longest + 1)
            if not line:
                break
            self._ahead.append(line if self.number + lines else line.removeprefix("\ufeff"))
            lines, characters = lines + 1, characters + len(line)
        return list(self._ahead)

    def raw(self) -> bytes | IO[bytes]:
        """Return the lines of the current row; a file if they are long."""
        return self._file_of_row or b"".join(self._kept)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self._read(self._longest + 1)
        if not self._part:
            raise StopIteration
        self.number += 1
        if len(self._part) > self._longest:
            raise csv.Error(f"a line is longer than {self._longest:,} characters")
        return self._part

    def error(self, reason: str) -> InvalidEvent:
        """Return the error of the current row, which has another form than the header, and pass over its line's rest.

        Inside a quotation a line end belongs to the field. So the next line is a row only if the quotations of this
        line are closed. If a row has several lines, its intended end is unknown.
        """
        ended = not self._part
        while self._part and not self._part.endswith(("\n", "\r")):
            self._read(PART)
        if not ended and self._first_number == self.number and self._quotes % 2 == 0:
            return InvalidEvent("line", reason)
        return LostLine(
            "line",
            f"{reason}; the row begins in line {self._first_number}, and its quotation marks do not show"
            " where the next row begins, so nothing after it can be imported. Correct the quotation marks",
        )

    def _read(self, size: int) -> None:
        self._part = self._ahead.popleft() if self._ahead else self._file.readline(size)
        self.characters += len(self._part)
        self._quotes += self._part.count('"')
        if self.keep:
            self._kept.append(self._part.encode("utf-8", "surrogatepass"))
            if self.characters > self._longest:
                self._move_to_file()

    def _move_to_file(self) -> None:
        if self._file_of_row is None:
            self._file_of_row = kept(())
        self._file_of_row.writelines(self._kept)
        self._kept.clear()
