"""`manage.py import_events`: append the events of a JSON Lines or CSV file."""

import argparse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management import CommandError, CommandParser

from events import handler_errors
from events.exceptions import EventStoreError
from events.formats.files import Columns, Line, as_text, read_csv, read_json_lines, unpacked
from events.formats.importing import BATCH_EVENTS, BadLine, Importer
from events.management.base import StoreCommand
from events.management.progress import progress
from events.store import EventStore
from events.types import ReceivedEvent


class Command(StoreCommand):
    help = (
        "Append the events of a file: JSON Lines in the format of export_events, or CSV with named columns."
        " It is safe to run it again: events that are already stored are skipped."
    )

    importer: Importer | None = None

    def so_far(self) -> str:
        return f"{self._summary()} Run the command again: events that are already stored are skipped."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="*.jsonl or *.csv, also packed as *.gz")
        parser.add_argument("--aggregate-id", metavar="COLUMN", help="CSV: the column with the aggregate id")
        parser.add_argument("--type", metavar="COLUMN", help="CSV: the column with the event type")
        parser.add_argument("--timestamp", metavar="COLUMN", help="CSV: the column with the timestamp")
        parser.add_argument(
            "--timezone", metavar="ZONE", type=_zone, help="CSV: the time zone of timestamps without one"
        )
        parser.add_argument("--batch-size", type=int, default=BATCH_EVENTS, help="events per transaction (%(default)s)")
        parser.add_argument("--dry-run", action="store_true", help="check every line, but store nothing")
        parser.add_argument("--skip-bad", action="store_true", help="report lines that cannot be stored, and continue")
        parser.add_argument(
            "--call-subscribers",
            action="store_true",
            help="call the subscribers for each stored event, as an append does; without it, only INLINE projections",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}")
        if options["batch_size"] < 1:
            raise CommandError("--batch-size: give 1 or more")
        self.dry_run = options["dry_run"]
        self.importer = importer = Importer(
            EventStore(options["database"]),
            batch_events=options["batch_size"],
            dry_run=self.dry_run,
            call_subscribers=options["call_subscribers"],
            on_bad=(lambda bad: self.stderr.write(str(bad))) if options["skip_bad"] else None,
        )
        try:
            self._import(path, importer, options)
        except BadLine as bad:
            skip = ", or pass --skip-bad," if bad.can_be_skipped else ""
            raise CommandError(f"{bad}\n{self._summary()} Correct the line{skip} and run the command again.") from None
        except (EventStoreError, EOFError, OSError, zlib.error) as error:
            if handler_errors.failure(error):
                raise  # it says nothing about the file
            raise CommandError(f"{path.name}: {error}\n{self._summary()}") from error
        self.stdout.write(self._summary())

    def _import(self, path: Path, importer: Importer, options: dict[str, Any]) -> None:
        with path.open("rb") as file, progress() as bar:
            task = bar.add_task(path.name, total=path.stat().st_size, events=0)
            content = unpacked(file, packed=path.suffix == ".gz")
            text = as_text(content)  # a reference, because its deletion closes the file
            is_csv = ".csv" in path.suffixes[-2:]
            lines = self._csv(text, options) if is_csv else read_json_lines(content, ReceivedEvent)
            for counts in importer.run(lines):
                bar.update(task, completed=file.tell(), events=counts.stored + counts.known)

    def _csv(self, text: IO[str], options: dict[str, Any]) -> Iterator[Line]:
        if not (options["aggregate_id"] and options["type"]):
            raise CommandError("A CSV file needs --aggregate-id and --type, the names of their columns")
        columns = Columns(options["aggregate_id"], options["type"], options["timestamp"])
        return read_csv(text, columns, options["timezone"])

    def _summary(self) -> str:
        if self.importer is None:
            return "Nothing was stored."
        counts = self.importer.counts
        parts = [f"{counts.stored:,} events {'would be stored' if self.dry_run else 'stored'}"]
        if counts.known:
            parts.append(f"{counts.known:,} were already stored")
        if counts.bad:
            parts.append(f"{counts.bad:,} bad lines skipped")
        return ", ".join(parts) + "."


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{name!r} is not a time zone; give one such as Europe/Berlin") from None
