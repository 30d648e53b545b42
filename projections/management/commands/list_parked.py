"""`manage.py list_parked`: the events that projections could not handle, parked or retried in the background."""

from typing import Any

from django.core.management import CommandParser

from events.routing import database
from projections import registry
from projections.management.base import ProjectionCommand
from projections.models import Build, ParkedEvent


class Command(ProjectionCommand):
    help = "Show failed events with their errors, and how many events wait behind each, of one projection or of all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", nargs="?")
        parser.add_argument("--details", action="store_true", help="with the traceback of each error")

    def handle(self, *args: Any, **options: Any) -> None:
        parked = ParkedEvent.objects.using(database()).filter(build=Build.LIVE)
        if options["name"]:
            registry.get(options["name"])  # raises if there is none
            parked = parked.filter(projection=options["name"])
        if not parked.exists():
            self.stdout.write("No events are parked.")
        for event in parked.failed():
            behind = parked.filter(projection=event.projection_id, aggregate_id=event.aggregate_id, error="").count()
            self.stdout.write(
                f"{event.projection_id}: position {event.position}, {event.type} of {event.aggregate_id}:"
                f" {event.error} ({event.attempts} attempts, {behind} waiting behind it{_retried(event)})"
            )
            if options["details"]:
                self.stdout.write(event.traceback)


def _retried(event: ParkedEvent) -> str:
    return f", retried at {event.next_attempt_at:%H:%M:%S %Z}" if event.next_attempt_at else ""
