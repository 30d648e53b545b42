"""`manage.py export_events`: write the events of the store to a file as JSON Lines or CSV."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from django.core.management import CommandError, CommandParser

from events.exceptions import InvalidEvent, UnreadableEvent
from events.formats.csv_export import csv_lines
from events.formats.files import suffix_of
from events.formats.outputs import standard_output, written
from events.management.base import StoreCommand
from events.management.endings import wrong_arguments
from events.plurals import number_of_events
from events.store import EventStore

_STANDARD_OUTPUT = "-"


class Command(StoreCommand):
    help = "Write all events by position to a file that import_events reads: JSON Lines, or CSV."

    count = 0

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "file",
            nargs="?",
            default=_STANDARD_OUTPUT,
            help="the file to write: CSV if it ends in .csv, packed if it ends in .gz; - is standard output",
        )
        parser.add_argument("--format", choices=("csv", "json"), help="the format, whatever the name of the file")
        parser.add_argument("--after", type=int, default=0, help="only events after this position")
        parser.add_argument("--type", action="append", dest="types", help="only events of this type; may be repeated")
        parser.add_argument(
            "--category", action="append", dest="categories", help="only events of this category; may be repeated"
        )
        super().add_arguments(parser)

    def so_far(self) -> str:
        return f"The export ended after {number_of_events(self.count)}. Run the command again."

    def handle(self, *args: Any, **options: Any) -> None:
        name = str(options["file"])
        is_standard_output = name == _STANDARD_OUTPUT
        try:
            with standard_output(self.stdout) if is_standard_output else written(Path(name)) as file:
                self._write(file, options)
        except UnreadableEvent as error:
            raise CommandError(f"{error}. JSON Lines can hold the event: pass --format json") from error
        except InvalidEvent as error:
            raise wrong_arguments(str(error)) from error
        if not is_standard_output:
            print(f"{number_of_events(self.count)} written to {name}", file=sys.stderr)

    def _write(self, file: IO[bytes], options: dict[str, Any]) -> None:
        for page, count in _pages(options):
            file.write(page)
            self.count += count


def _pages(options: dict[str, Any]) -> Iterator[tuple[bytes, int]]:
    """Yield the content of the file in parts, each with its number of events."""
    store = EventStore(options["database"])
    selection = {name: options[name] for name in ("after", "types", "categories")}
    kind = options["format"] or ("csv" if suffix_of(str(options["file"])) == ".csv" else "json")
    if kind == "json":
        for page in store.export(**selection):
            yield page, page.count(b"\n")
    else:
        for number, line in enumerate(csv_lines(store.read_all(**selection))):
            yield line.encode(), min(number, 1)  # the first line is the header
