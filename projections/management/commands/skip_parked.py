"""`manage.py skip_parked`: skip one parked event permanently."""

from typing import Any

from django.core.management import CommandParser

from events.plurals import number_of_events
from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Skip one parked event permanently, and replay the events that waited behind it. Needs a --reason."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("position", type=int, metavar="POSITION", help="of the event, as list_parked shows it")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        handled, left = actions.skip(name, options["position"], by=by, reason=reason)
        behind = f"{number_of_events(handled)} behind it handled, {left:,} still parked"
        return f"Position {options['position']} skipped; {behind}."
