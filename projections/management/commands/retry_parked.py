"""`manage.py retry_parked`: replay a projection's parked events."""

from typing import Any

from django.core.management import CommandParser

from events.plurals import number_of_events
from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Replay a projection's parked events, in order, with the present code."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--aggregate-id", metavar="ID", help="only the events of this aggregate")

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        handled, left = actions.retry(name, by=by, reason=reason, aggregate_id=options["aggregate_id"])
        return f"{number_of_events(handled)} handled, {left:,} still parked."
