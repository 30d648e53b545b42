"""`manage.py fire_timers`: store the events of timers now."""

from typing import Any

from django.core.management import CommandParser

from projections.management.base import OperationCommand
from projections.reactions import operating


class Command(OperationCommand):
    help = (
        "Store the events of timers now, also if they are not due. The reaction may be paused, or gone from the code."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("keys", nargs="+", metavar="KEY", help="of a timer, as list_timers shows it")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        return f"Timers of {name} fired: {operating.fire(name, options['keys'], by=by, reason=reason):,}."
