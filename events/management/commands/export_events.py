"""`manage.py export_events`: write the events of the store as JSON Lines."""

import gzip
import os
import sys
from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from events.event_files import json_line
from events.exceptions import EventStoreError
from events.store import EventStore


class Command(BaseCommand):
    help = "Write all events by position, one JSON object a line, as import_events reads them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", type=Path, help="where to; packed when it ends in .gz (standard output)")
        parser.add_argument("--after", type=int, default=0, help="only events after this position")
        parser.add_argument("--type", action="append", dest="types", help="only events of this type; may be repeated")
        parser.add_argument("--category", action="append", dest="categories", help="only of this category; likewise")
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="alias of the database (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] not in connections:
            raise CommandError(f"--database: there is no {options['database']!r} in DATABASES")
        try:
            events = EventStore(options["database"]).read_all(
                after=options["after"], types=options["types"], categories=options["categories"]
            )
        except EventStoreError as error:
            raise CommandError(str(error)) from error
        path: Path | None = options["file"]
        if path is None:
            try:
                for event in events:
                    self.stdout.write(json_line(event))
            except BrokenPipeError:
                # The reader has seen enough (`| head`). Python would complain when it flushes the pipe at its end.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return
        # Under another name until it is whole: a file that looks like an export is one.
        draft = path.with_name(path.name + ".part")
        opener: Any = gzip.open if path.suffix == ".gz" else open
        count = 0
        try:
            with opener(draft, "wt", encoding="utf-8") as file:
                for event in events:
                    file.write(json_line(event))
                    count += 1
            draft.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        print(f"{count:,} events written to {path}", file=sys.stderr)
