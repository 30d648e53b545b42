"""`manage.py export_events`: write the events of the store to a file as JSON Lines."""

import gzip
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management import CommandError, CommandParser

from events.management.base import StoreCommand
from events.store import EventStore


class Command(StoreCommand):
    help = "Write all events by position, one JSON object a line, in the format that import_events reads."

    count = 0

    def so_far(self) -> str:
        return f"{self.count:,} events were written. Run the command again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file", nargs="?", type=Path, help="the file to write, packed if it ends in .gz (standard output)"
        )
        parser.add_argument("--after", type=int, default=0, help="only events after this position")
        parser.add_argument("--type", action="append", dest="types", help="only events of this type; may be repeated")
        parser.add_argument(
            "--category", action="append", dest="categories", help="only events of this category; may be repeated"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        pages = EventStore(options["database"]).export(
            after=options["after"], types=options["types"], categories=options["categories"]
        )
        path: Path | None = options["file"]
        if path is None:
            self._print(pages)
            return
        # Under another name until it is complete, so that no partial file looks like an export. A device or a pipe is
        # not replaced.
        is_replaceable = path.is_file() or not path.exists()
        draft = path.with_name(path.name + ".part") if is_replaceable else path
        opener: Any = gzip.open if path.suffix == ".gz" else open
        try:
            with opener(draft, "wb") as file:
                for page in pages:
                    file.write(page)
                    self.count += page.count(b"\n")
            if is_replaceable:
                draft.replace(path)
        except OSError as error:
            raise CommandError(f"{path} cannot be written: {error.strerror}") from error
        print(f"{self.count:,} events written to {path}", file=sys.stderr)

    def _print(self, pages: Iterator[bytes]) -> None:
        for page in pages:
            self.stdout.write(page.decode(), ending="")
            self.count += page.count(b"\n")
