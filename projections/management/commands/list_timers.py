"""`manage.py list_timers`: the timers of reactions."""

import json
from typing import Any

from django.core.management import CommandParser
from django.core.serializers.json import DjangoJSONEncoder

from events.routing import database
from events.visible import visible
from projections import registry
from projections.management.base import ProjectionCommand
from projections.models import Timer

FIELDS = ("reaction", "key", "due_at", "type", "aggregate_id", "attempts", "next_attempt_at", "error")


class Command(ProjectionCommand):
    help = "Show the timers of one reaction or of all, oldest first, also of reactions that are gone from the code."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reaction", metavar="NAME", help="which may be gone from the code")
        parser.add_argument("--json", action="store_true", help="a JSON object on each line")

    def handle(self, *args: Any, **options: Any) -> None:
        timers = Timer.objects.using(database()).defer("data", "metadata")
        if options["reaction"]:
            timers = timers.of(options["reaction"])
        found = False
        for timer in timers.iterator(chunk_size=1000):
            found = True
            if options["json"]:
                values = {name: getattr(timer, name) for name in FIELDS}
                values["is_gone"] = not registry.has_reaction(timer.reaction)
                self.stdout.write(json.dumps(values, cls=DjangoJSONEncoder))
                continue
            gone = " (gone)" if not registry.has_reaction(timer.reaction) else ""
            self.stdout.write(
                f"{timer.reaction}{gone}: {visible(timer.key)}, due {timer.due_at:%Y-%m-%d %H:%M:%S %Z}:"
                f" {visible(timer.type)} of {visible(timer.aggregate_id)}{_rejected(timer)}"
            )
        if not found and not options["json"]:
            self.stdout.write("There are no timers.")


def _rejected(timer: Timer) -> str:
    if not timer.attempts:
        return ""
    at = timer.next_attempt_at
    retried = f"retried at {at:%Y-%m-%d %H:%M:%S %Z}" if at else "not retried"
    return f" ({timer.attempts} attempts, {retried}): {timer.error}"
