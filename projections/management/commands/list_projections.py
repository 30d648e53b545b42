"""`manage.py list_projections`: the status of the projections."""

import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from django.core.management import CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from rich.console import Console
from rich.table import Table

from projections.management.base import ProjectionCommand
from projections.operations import lag, status


class Command(ProjectionCommand):
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
        self.stdout.write(self._table(found))

    def _table(self, found: Sequence[status.Report]) -> str:
        # In a file or a pipe, rich would wrap lines at 80 characters. It would end the process if the pipe is closed.
        text, is_terminal = io.StringIO(), self.stdout.isatty()
        console = Console(file=text, force_terminal=is_terminal, width=None if is_terminal else 250)
        table = Table("name", "mode", "status", box=None, pad_edge=False)
        for column in ("position", "lag", "seconds", "rate/s", "retrying", "parked"):
            table.add_column(column, justify="right")
        for each in found:
            lag_and_rate = _counted(each.lag_events), f"{each.lag_seconds:.1f}", f"{each.rate:.0f}"
            aside = str(each.retrying), str(each.parked)
            table.add_row(each.name, each.mode, _status(each), str(each.position), *lag_and_rate, *aside)
        console.print(table)
        for each in found:
            for line in filter(None, (each.status_reason, each.last_error)):
                console.print(f"{each.name}: {line}", markup=False, highlight=False, soft_wrap=True)
        return text.getvalue()


def _status(found: status.Report) -> str:
    return found.status if found.rebuild is None else f"{found.status} {found.rebuild:.0%}"


def _counted(events: int) -> str:
    return f"{events}+" if events >= lag.MAX_COUNTED_LAG else str(events)
