"""`manage.py import_events`: append the events of a file of JSON Lines, a JSON array or CSV."""

import argparse
import os
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management import CommandError, CommandParser

from events import handler_errors
from events.exceptions import EventStoreError, InvalidEvent
from events.formats.csv_export import HEADER
from events.formats.csv_files import CsvFile, CsvFormat
from events.formats.csv_times import COUNTS, timestamp_reader
from events.formats.files import Line, read_json_lines, suffix_of
from events.formats.importing import BATCH_EVENTS, BadLine, Importer
from events.formats.json_array import read_json_array
from events.formats.outputs import Unwritable
from events.formats.rejected_lines import RejectedLines, rejected_lines
from events.formats.text import Content, check_encoding
from events.management.base import StoreCommand
from events.management.endings import wrong_arguments
from events.management.progress import progress
from events.plurals import number_of, number_of_events
from events.storage import identity
from events.store import EventStore
from events.types import ReceivedEvent

_STANDARD_INPUT = "-"
_CSV, _JSON = {".csv", ".tsv", ".txt"}, {".json", ".jsonl", ".ndjson"}
_FOR_CSV = (
    *("aggregate_id", "type", "timestamp", "timestamp_format", "timezone", "event_id", "metadata", "category"),
    *("delimiter", "ragged"),
)


class Command(StoreCommand):
    help = (
        "Append the events of a file: JSON in the format of export_events, one object a line or one array; or CSV, with"
        " named columns or as export_events writes it. It is safe to run it again: events that are already stored are"
        " skipped."
    )

    importer: Importer | None = None
    rejected: RejectedLines | None = None

    def so_far(self) -> str:
        return f"{self._summary()} Run the command again: events that are already stored are skipped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", help="*.jsonl, *.json or *.csv, also packed with gzip; - is standard input")
        parser.add_argument("--format", choices=("csv", "json"), help="the format, whatever the name of the file")
        parser.add_argument(
            "--encoding", type=_encoding, help="the encoding (UTF-16 and UTF-32 by their first bytes, otherwise UTF-8)"
        )
        parser.add_argument("--source", default="", metavar="NAME", help=_SOURCE_HELP)
        csv = parser.add_argument_group("CSV", "All columns without an option become data, as text.")
        csv.add_argument("--aggregate-id", metavar="COLUMN", help="the column with the aggregate id")
        csv.add_argument("--category", help="put before each aggregate id: with `order`, 17 becomes order-17")
        csv.add_argument("--type", metavar="COLUMN", help="the column with the event type")
        csv.add_argument("--timestamp", metavar="COLUMN", help="the column with the timestamp")
        csv.add_argument("--timestamp-format", metavar="FORMAT", help=_TIMESTAMP_HELP)
        csv.add_argument("--timezone", metavar="ZONE", type=_zone, help="the time zone of timestamps without one")
        csv.add_argument("--event-id", metavar="COLUMN", help=_EVENT_ID_HELP)
        csv.add_argument(
            "--metadata", metavar="COLUMN", action="append", help="a column that becomes metadata; may be repeated"
        )
        csv.add_argument("--delimiter", type=_delimiter, help="what separates the columns (found by the header)")
        csv.add_argument("--ragged", action="store_true", help="rows may lack their last empty cells, or have more")
        parser.add_argument("--batch-size", type=int, default=BATCH_EVENTS, help="events per transaction (%(default)s)")
        parser.add_argument("--dry-run", action="store_true", help="check every line, but store nothing")
        parser.add_argument("--skip-bad", action="store_true", help="report lines that cannot be stored, and continue")
        parser.add_argument(
            "--rejected", metavar="FILE", type=Path, help="as --skip-bad, and write the lines to FILE as they are"
        )
        parser.add_argument(
            "--call-subscribers",
            action="store_true",
            help="call the subscribers for each stored event, as an append does; without it, only INLINE projections",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch_size"] < 1:
            raise wrong_arguments("--batch-size: give 1 or more")
        self.dry_run = options["dry_run"]
        self.importer = importer = Importer(
            EventStore(options["database"]),
            batch_events=options["batch_size"],
            dry_run=self.dry_run,
            call_subscribers=options["call_subscribers"],
            source=options["source"],
            on_bad=self._skip if options["skip_bad"] or options["rejected"] else None,
        )
        name = str(options["file"])
        with self._reading(name), _opened(name) as file:
            _check_rejected(options["rejected"], file)
            self._import(name, file, importer, options)
        self.stdout.write(self._summary(options["rejected"]))

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Name the file to import in the errors about it."""
        try:
            yield
        except BadLine as bad:
            skip = ", or pass --skip-bad," if bad.can_be_skipped else ""
            raise CommandError(f"{bad}\n{self._summary()} Correct the line{skip} and run the command again.") from None
        except (EventStoreError, EOFError, OSError, UnicodeError, zlib.error) as error:
            if isinstance(error, Unwritable) or handler_errors.failure(error):
                raise  # it says nothing about this file
            raise CommandError(f"{Path(name).name}: {error}\n{self._summary()}") from error

    def _import(self, name: str, file: IO[bytes], importer: Importer, options: dict[str, Any]) -> None:
        content = Content(file, options["encoding"])
        lines, preamble = self._read(name, content, options)
        path = options["rejected"]
        size = os.fstat(file.fileno()).st_size if _is_plain(file) else None
        with progress() as bar, rejected_lines(path, content.encoding) if path else nullcontext() as self.rejected:
            if self.rejected:
                self.rejected.add(preamble)
            task = bar.add_task(Path(name).name, total=size, events=0)
            with self._reading(name):  # an OSError outside it is about the file of rejected lines
                for counts in importer.run(lines):
                    completed = file.tell() if size is not None else None
                    bar.update(task, completed=completed, events=counts.stored + counts.known)

    def _read(self, name: str, content: Content, options: dict[str, Any]) -> tuple[Iterable[Line], bytes | IO[bytes]]:
        """Return the lines, and what stands before them in the file."""
        keep = bool(options["rejected"])
        given = [f"--{option.replace('_', '-')}" for option in _FOR_CSV if options[option]]
        kind = options["format"] or _format_of(name) or ("csv" if given else "json")
        if kind == "json":
            if given:
                raise wrong_arguments(f"{given[0]} is for CSV, but this is JSON; leave it out, or pass --format csv")
            if not content.is_utf_8:
                self._report(name, options, encoding=content.name)
            if content.begins_with("["):
                return read_json_array(content.as_text(), ReceivedEvent, encoding=content.name), b""
            lines = content.as_lines(keep=keep)
            return read_json_lines(lines, ReceivedEvent, encoding=content.name, keep=keep), b""
        file = _csv_file(content, options, keep=keep)
        self._report(name, options, encoding=content.name, delimiter=str(file.dialect))
        return file, file.preamble

    def _report(self, name: str, options: dict[str, Any], **found: str) -> None:
        """Say what was found in the file and not given."""
        guessed = {option: value for option, value in found.items() if not options[option]}
        if guessed and options["verbosity"]:
            values = ", ".join(f"{option} {value}" for option, value in guessed.items())
            ways = " or ".join(f"--{option}" for option in guessed)
            self.stderr.write(f"{name} is read with {values}. If this is wrong, pass {ways}.", str)

    def _skip(self, bad: BadLine) -> None:
        self.stderr.write(str(bad))
        if self.rejected:
            self.rejected.add(bad.raw)

    def _summary(self, rejected: Path | None = None) -> str:
        if self.importer is None:
            return "Nothing was stored."
        counts = self.importer.counts
        parts = [f"{number_of_events(counts.stored)} {'would be stored' if self.dry_run else 'stored'}"]
        if counts.known:
            parts.append(f"{counts.known:,} already stored")
        if counts.bad:
            parts.append(
                f"{number_of(counts.bad, 'bad line')} " + (f"written to {rejected}" if rejected else "skipped")
            )
        return ", ".join(parts) + "."


_SOURCE_HELP = (
    "the name of where the file comes from, such as a shop and a day. The ids of lines without one are derived from it"
    " too, so an equal line of another source is another event"
)
_TIMESTAMP_HELP = (
    f"the format of the timestamps (ISO 8601): {', '.join(COUNTS)} since 1970, or a pattern of Python's strptime,"
    " such as '%%d/%%m/%%Y %%H:%%M'"
)
_EVENT_ID_HELP = "the column with the event id: a UUID, or with --source any text that is unique in the source"


def _csv_file(content: Content, options: dict[str, Any], *, keep: bool) -> CsvFile:
    form = _csv_format(options)
    is_named = bool(form.aggregate_id and form.type)
    try:
        if is_named or form.columns is HEADER:
            file = CsvFile(content.as_text(), form, encoding=content.name, keep=keep)
            if is_named or not file.data_columns:
                return file
            raise CommandError(
                f"export_events writes no column {file.data_columns[0]!r}: remove it, or name the columns of the file"
                " with --aggregate-id and --type"
            )
    except InvalidEvent:
        if is_named:
            raise
    raise wrong_arguments(
        "A CSV file needs --aggregate-id and --type, the names of their columns, if export_events has not written it"
    )


def _csv_format(options: dict[str, Any]) -> CsvFormat:
    if "-" in (options["category"] or ""):
        raise wrong_arguments("--category: give a name without a dash, because a category ends before the first dash")
    if options["category"] and not options["aggregate_id"]:
        raise wrong_arguments("--category: pass --aggregate-id too; the ids of an exported file have their category")
    for name in ("timestamp_format", "timezone"):
        if options[name] and not options["timestamp"]:
            raise wrong_arguments(f"--{name.replace('_', '-')}: pass --timestamp too, the column with the timestamps")
    derive = partial(identity.derived_id, options["database"], "import", options["source"])
    try:
        read_timestamp = timestamp_reader(options["timestamp_format"], options["timezone"])
    except ValueError as error:
        raise wrong_arguments(f"--timestamp-format: {error}") from None
    return CsvFormat(
        aggregate_id=options["aggregate_id"],
        type=options["type"],
        timestamp=options["timestamp"],
        event_id=options["event_id"],
        metadata=options["metadata"] or (),
        category=options["category"],
        read_timestamp=read_timestamp,
        derive_id=derive if options["source"] else None,
        delimiter=options["delimiter"],
        ragged=options["ragged"],
    )


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == _STANDARD_INPUT:
        if sys.stdin is None:
            raise CommandError("There is no standard input")
        yield sys.stdin.buffer
        return
    if not Path(name).exists():
        raise wrong_arguments(f"There is no file {name}")
    with Path(name).open("rb") as file:
        yield file


def _check_rejected(path: Path | None, file: IO[bytes]) -> None:
    if str(path) == "-":
        raise wrong_arguments("--rejected: give the name of a file")
    if path and path.exists() and _is_plain(file) and os.path.samestat(path.stat(), os.fstat(file.fileno())):
        raise wrong_arguments("--rejected: give a file other than the one to import, which would be overwritten")


def _is_plain(file: IO[bytes]) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:  # a file in memory
        return False


def _format_of(name: str) -> str | None:
    """Return the format of a file by the end of its name, in capitals or not."""
    suffix = suffix_of(name)
    return "csv" if suffix in _CSV else "json" if suffix in _JSON else None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{name!r} is not a time zone; give one such as Europe/Berlin") from None


def _encoding(name: str) -> str:
    try:
        return check_encoding(name)
    except LookupError:
        raise argparse.ArgumentTypeError(f"{name!r} is not an encoding; give one such as windows-1252") from None


def _delimiter(text: str) -> str:
    found = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(found) != 1 or found in '"\r\n':
        raise argparse.ArgumentTypeError(f"{text!r} is not a delimiter; give one character, or tab")
    return found
