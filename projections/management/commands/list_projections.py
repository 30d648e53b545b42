"""`manage.py list_projections`: the status of the projections."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management import BaseCommand, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from rich.console import Console
from rich.table import Table

from projections.operations import lag, status


class Command(BaseCommand):
    help = "Show the status, lag and last error of each projection."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="as JSON, with every field")

    def handle(self, *args: Any, **options: Any) -> None:
        found = status.reports()
        if options["json"]:
            self.stdout.write(json.dumps([asdict(each) for each in found], cls=DjangoJSONEncoder, indent=2))
            return
        if not found:
            self.stdout.write("There are no projections; register them in an app's projections.py.")
            return
        # In a file or a pipe, rich would wrap lines at 80 characters.
        width = None if self.stdout.isatty() else 250
        console = Console(file=self.stdout, width=width)  # type: ignore[arg-type]  # writes text, as a file does
        table = Table("name", "mode", "status", box=None, pad_edge=False)
        for column in ("position", "lag", "seconds", "rate/s", "parked"):
            table.add_column(column, justify="right")
        for each in found:
            table.add_row(
                each.name,
                each.mode,
                _status(each),
                str(each.position),
                _counted(each.lag_events),
                f"{each.lag_seconds:.1f}",
                f"{each.rate:.0f}",
                str(each.parked),
            )
        console.print(table)
        for each in found:
            for line in filter(None, (each.status_reason, each.last_error)):
                console.print(f"{each.name}: {line}", markup=False, highlight=False, soft_wrap=True)


def _status(found: status.Report) -> str:
    return found.status if found.rebuild is None else f"{found.status} {found.rebuild:.0%}"


def _counted(events: int) -> str:
    return f"{events}+" if events >= lag.MAX_COUNTED_LAG else str(events)
