"""`manage.py seal_events`: seal what is settled and not sealed yet."""

from typing import Any

from django.core.management import CommandError

from events import reader, sealing
from events.exceptions import EventStoreError
from events.management.commandbase import StoreCommand
from events.management.progress import progress


class Command(StoreCommand):
    help = (
        "Seal all settled events that are not sealed yet, so that verify_events can tell whether they have changed."
        " Run it regularly, or let the projections' workers do it (PROJECTIONS_SEALS)."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        try:
            count = self._seal(using)
        except EventStoreError as error:
            raise CommandError(str(error)) from error
        digest = sealing.newest_digest(using)
        self.stdout.write(f"{count:,} events sealed. Seals reach up to position {digest.position}.")

    def _seal(self, using: str) -> int:
        count = 0
        begin, up_to = sealing.newest_digest(using).position, reader.settled_position(using)
        with progress() as bar:
            task = bar.add_task("Sealing", total=up_to - begin, events=0)
            while events := sealing.seal(using, up_to=up_to):
                count += events
                bar.update(task, completed=sealing.newest_digest(using).position - begin, events=count)
        return count
