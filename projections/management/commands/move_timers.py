"""`manage.py move_timers`: give the timers of a reaction that was renamed to the one with the new name."""

from typing import Any

from django.core.management import CommandParser

from projections.management.base import OperationCommand
from projections.reactions import operating


class Command(OperationCommand):
    help = "Give the timers of a reaction that is gone from the code to another one, for example after a renaming."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("to", metavar="TO", help="a reaction of the code")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        moved = operating.move(name, options["to"], by=by, reason=reason)
        return f"{moved:,} timers of {name} now belong to {options['to']}."
