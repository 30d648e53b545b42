"""`manage.py cancel_timers`: cancel timers of a reaction."""

from typing import Any

from django.core.management import CommandParser

from events.management.endings import wrong_arguments
from projections.management.base import OperationCommand
from projections.reactions import operating


class Command(OperationCommand):
    help = "Cancel timers of a reaction, so that their events are never stored. The reaction may be gone from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("keys", nargs="*", metavar="KEY", help="of a timer, as list_timers shows it")
        parser.add_argument("--all", action="store_true", help="all timers of the reaction")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        if bool(options["keys"]) == options["all"]:
            raise wrong_arguments("Give the keys of the timers to cancel, or --all.")
        cancelled = operating.cancel(name, options["keys"] or None, by=by, reason=reason)
        return f"Timers of {name} cancelled: {cancelled:,}."
