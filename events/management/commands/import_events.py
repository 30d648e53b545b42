"""`manage.py import_events`: append the events of a JSON Lines or CSV file."""

import argparse
import sys
import zlib
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from events.event_files import Columns, Line, as_text, read_csv, read_json_lines
from events.exceptions import DuplicateEvent, EventStoreError, InvalidEvent
from events.models import Event
from events.store import EventStore
from events.types import NewEvent
from events.validation import checked


class Command(BaseCommand):
    help = (
        "Append the events of a file: JSON Lines in the shape export_events writes, or CSV with named columns."
        " Safe to run again: an event that is stored already is passed over."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="*.jsonl or *.csv, also packed as *.gz")
        parser.add_argument("--aggregate-id", metavar="COLUMN", help="CSV: the column with the aggregate id")
        parser.add_argument("--type", metavar="COLUMN", help="CSV: the column with the event type")
        parser.add_argument("--timestamp", metavar="COLUMN", help="CSV: the column with the moment it happened")
        parser.add_argument("--timezone", metavar="ZONE", type=_zone, help="CSV: of timestamps that name none")
        parser.add_argument("--batch-size", type=int, default=1000, help="events per transaction (%(default)s)")
        parser.add_argument("--dry-run", action="store_true", help="check every line, store nothing")
        parser.add_argument("--skip-bad", action="store_true", help="report lines that cannot be stored, and go on")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="alias of the database (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        path: Path = options["file"]
        if not path.is_file():
            raise CommandError(f"There is no file {path}")
        if options["database"] not in connections:
            raise CommandError(f"--database: there is no {options['database']!r} in DATABASES")
        if options["batch_size"] < 1:
            raise CommandError("--batch-size: give 1 or more")
        self.dry_run, self.skip_bad = options["dry_run"], options["skip_bad"]
        self.store = EventStore(options["database"])
        self.stored = self.known = self.bad = 0
        try:
            self._import(path, options)
        except (EventStoreError, EOFError, OSError, zlib.error) as error:
            raise CommandError(f"{path.name}: {error}\n{self._summary()}") from error
        self.stdout.write(self._summary())

    def _import(self, path: Path, options: dict[str, Any]) -> None:
        with path.open("rb") as file, self._progress() as progress:
            task = progress.add_task(path.name, total=path.stat().st_size, events=0)
            text = as_text(file, packed=path.suffix == ".gz")
            lines = self._lines(text, path, options)
            while batch := list(islice(lines, options["batch_size"])):
                self._take(batch)
                events = self.stored + self.known
                progress.update(task, completed=file.tell(), events=events)

    def _lines(self, text: IO[str], path: Path, options: dict[str, Any]) -> Iterator[Line]:
        if ".csv" not in path.suffixes[-2:]:
            return read_json_lines(text)
        if not (options["aggregate_id"] and options["type"]):
            raise CommandError("A CSV file needs --aggregate-id and --type: the columns that hold them")
        columns = Columns(options["aggregate_id"], options["type"], options["timestamp"])
        return read_csv(text, columns, options["timezone"])

    def _take(self, lines: list[Line]) -> None:
        """Store the good lines of a batch. A bad one ends the import behind those before it, or is skipped."""
        homes = self._homes_of_stored(lines)
        new: list[NewEvent] = []
        known = 0
        for line in lines:
            try:
                event = self._valid(line, homes)
            except InvalidEvent as error:
                message = f"line {line.number}: {error.field}: {error.reason}"
                if not self.skip_bad:
                    self._store(new, known)
                    raise CommandError(
                        f"{message}\n{self._summary()} Mend the line, or pass --skip-bad, and run it again."
                    ) from None
                self.bad += 1
                self.stderr.write(message)
                continue
            if event.event_id in homes:
                known += 1
            else:
                homes[event.event_id] = event.aggregate_id
                new.append(event)
        self._store(new, known)

    def _homes_of_stored(self, lines: list[Line]) -> dict[UUID, str]:
        """Return the aggregates that those events of `lines` are in that are stored already, by event id."""
        ids = [line.event.event_id for line in lines if line.event]
        stored = Event.objects.using(self.store.using).filter(event_id__in=ids)
        return dict(stored.values_list("event_id", "aggregate_id"))

    def _valid(self, line: Line, homes: dict[UUID, str]) -> NewEvent:
        if line.event is None:
            raise line.error or InvalidEvent("line", "holds no event")
        checked([line.event])
        home = homes.get(line.event.event_id, line.event.aggregate_id)
        if home != line.event.aggregate_id:
            raise InvalidEvent("event_id", f"{line.event.event_id} is in use already, in aggregate {home!r}")
        return line.event

    def _store(self, new: list[NewEvent], known: int) -> None:
        if not self.dry_run:
            try:
                self.store.dispatch(*new)
            except DuplicateEvent as error:
                raise CommandError(
                    f"{error}. Is another import of these events under way? Run this one again after it.\n"
                    f"{self._summary()}"
                ) from error
        self.stored += len(new)
        self.known += known

    def _summary(self) -> str:
        counts = [f"{self.stored:,} events {'would be stored' if self.dry_run else 'stored'}"]
        if self.known:
            counts.append(f"{self.known:,} were stored already")
        if self.bad:
            counts.append(f"{self.bad:,} bad lines skipped")
        return ", ".join(counts) + "."

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[events]:,} events"),
            _Rate(),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Any:
        self.text_format = f"{task.fields['events'] / task.elapsed:,.0f}/s" if task.elapsed else ""
        return super().render(task)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise argparse.ArgumentTypeError(f"{name!r} is no time zone; give one such as Europe/Berlin") from None
