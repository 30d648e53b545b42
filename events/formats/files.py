"""The lines of files of events, and JSON Lines, read line by line; errors name their line."""

import codecs
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple, Protocol, TypeVar
from uuid import UUID

import orjson

from events.conf import conf
from events.exceptions import InvalidEvent, Rejected
from events.types import ExportedEvent, NewEvent, ReceivedEvent
from events.validation import ValidatedEvent, parsed_row, validate_events

from .serialization import ADDED, GIVEN, from_json, is_lossless, moment, new_event_fields, uuid_of

_FIELDS = frozenset((*GIVEN, *ADDED))
_NO_ID = UUID(int=0)
PART = 64 * 1024  # characters of a long line that are read at once
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
        raw: its lines as they are in the file, in UTF-8, if the reader keeps them; a file if they are very long.
        unit: what `number` counts.
    """

    number: int
    row: ValidatedEvent | None
    error: InvalidEvent | Rejected | None = None
    characters: int = 0
    has_id: bool = False
    raw: bytes | IO[bytes] = b""
    unit: str = "line"


class LostLine(InvalidEvent):
    """The error of a line behind which nothing can be read, because it cannot be told where the next line begins."""


def read_json_lines(
    file: Readable, kind: type[NewEvent] = NewEvent, *, encoding: str | None = None, keep: bool = False
) -> Iterator[Line]:
    """Return an iterator over the events of a UTF-8 file with one JSON object a line; empty lines are skipped.

    Only one line is in memory at a time. A line that is longer than any event is an error, and is passed over.

    Args:
        kind: `ReceivedEvent` for a file from a trusted store, whose metadata may have reserved keys.
        encoding: see `not_in_encoding`.
        keep: whether each line keeps its bytes.
    """
    longest = longest_line()
    read = json_reader(kind, encoding)
    for number in itertools.count(1):
        raw = file.readline(longest + 1)
        if not raw:
            return
        if number == 1:
            raw = raw.removeprefix(codecs.BOM_UTF8)
        if len(raw) > longest:
            error = InvalidEvent("line", f"is longer than {longest:,} bytes; split the event")
            if keep:
                yield Line(number, None, error, len(raw), raw=kept(itertools.chain([raw], _rest(file, raw))))
            else:
                yield Line(number, None, error, len(raw))  # the caller may end here: the line may have no end
                deque(_rest(file, raw), maxlen=0)
        elif raw.strip():
            line = read(number, raw)
            yield line._replace(raw=raw) if keep else line


def json_reader(kind: type[NewEvent], encoding: str | None = None) -> Callable[[int, bytes], Line]:
    """Return the function that returns the event, or its error, of a line with a number and its JSON text."""
    max_event_bytes = conf.max_event_bytes

    def read(number: int, text: bytes) -> Line:
        return _quickly(number, text, max_event_bytes) or _strictly(number, text, kind, encoding)

    return read


def kind_of(content: Mapping[str, Any], kind: type[NewEvent]) -> type[NewEvent]:
    """Return the kind of event that fields from a file describe: one with a position was exported from a store."""
    return ExportedEvent if kind is ReceivedEvent and content.get("position") is not None else kind


def validated(number: int, event: NewEvent, characters: int, *, has_id: bool) -> Line:
    """Return a valid event as a line.

    Raises:
        InvalidEvent: the event is not valid.
    """
    (row,) = validate_events([event])
    return Line(number, row, None, characters, has_id)


def not_in_encoding(field: str, encoding: str | None) -> InvalidEvent:
    """Return the error of bytes that are not in the encoding of a file of `import_events`; None: of a request."""
    remedy = "if the file has another encoding, pass --encoding, such as --encoding windows-1252"
    return InvalidEvent(field, f"has bytes that are not {encoding or 'UTF-8'}; {remedy if encoding else 'convert it'}")


def kept(parts: Iterable[bytes]) -> IO[bytes]:
    """Return a temporary file with the bytes of a line that may not fit into memory."""
    file = TemporaryFile()  # noqa: SIM115
    file.writelines(parts)
    return file


def longest_line() -> int:
    """Return the largest number of characters of a line."""
    return _ESCAPED * conf.max_event_bytes + _BESIDES


def suffix_of(name: str) -> str:
    """Return what a file name says about the format, such as `.csv`: its last suffix in lower case, apart from .gz."""
    path = Path(name.lower())
    return path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix


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


def _rest(file: Readable, part: bytes) -> Iterator[bytes]:
    """Yield the rest of a line that begins with `part`."""
    while part and not part.endswith(b"\n"):
        part = file.readline(PART)
        yield part


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
            _NO_ID if event_id is None else uuid_of(event_id),
            max_event_bytes,
        )
    except (AttributeError, InvalidEvent, TypeError, ValueError):
        return None
    return row and Line(number, row, None, len(line), event_id is not None)


def _strictly(number: int, line: bytes, kind: type[NewEvent], encoding: str | None) -> Line:
    """Return the event of a line, or its error."""
    try:
        content = from_json(line.decode())
        fields = new_event_fields(content, ignored=ADDED)
        event = kind_of(content, kind)(**fields)
        return validated(number, event, len(line), has_id=fields.get("event_id") is not None)
    except UnicodeDecodeError:
        return Line(number, None, not_in_encoding("line", encoding), len(line))
    except InvalidEvent as error:
        return Line(number, None, error, len(line))
    except ValueError as error:
        return Line(number, None, InvalidEvent("line", f"is not valid JSON: {error}"), len(line))
