"""`manage.py rewind_reaction`: let a reaction handle events again."""

import sys
from typing import Any

from django.core.management import CommandError, CommandParser

from events.plurals import number_of_events
from projections.management.base import OperationCommand
from projections.operations import lag
from projections.reactions import moving


class Command(OperationCommand):
    help = (
        "Let a reaction handle its events from a position on again. What it has stored because of them is not stored"
        " again, and its handlers get the same idempotency keys: a system that does not know such keys does its work"
        " again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--from",
            dest="from_position",
            type=int,
            required=True,
            metavar="POSITION",
            help="the position of the first event to handle again",
        )
        parser.add_argument(
            "--send-again",
            action="store_true",
            help="with new ids and idempotency keys: all is done again",
        )
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        position, send_again = options["from_position"], options["send_again"]
        if not (options["yes"] or self._is_confirmed(name, position, send_again)):
            raise CommandError("Nothing was done.")
        reached = moving.rewind(name, position, by=by, reason=reason, send_again=send_again)
        return f"{name} was at position {reached}, and handles its events from position {position} on again."

    def _is_confirmed(self, name: str, position: int, send_again: bool) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("A rewind needs confirmation, but there is no terminal; pass --yes")
        number = lag.lag_events(position - 1, lag.reached(name))
        most = " or more" if number == lag.MAX_COUNTED_LAG else ""
        keys = "new idempotency keys: everything is done again" if send_again else "the same idempotency keys"
        self.stdout.write(f"Handle {number_of_events(number)}{most} of the store again with {keys}.")
        try:
            return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # Ctrl-D
            return False
