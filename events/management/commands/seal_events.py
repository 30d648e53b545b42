"""`manage.py seal_events`: seal the settled events that are not sealed yet."""

from typing import Any

from events.integrity import seals
from events.management.base import StoreCommand
from events.management.progress import progress
from events.plurals import number_of_events
from events.storage import ordering


class Command(StoreCommand):
    help = (
        "Seal all settled events that are not sealed yet, so that verify_events can detect changes to them."
        " Run it regularly, or let the projections' workers do it (PROJECTIONS_SEALS)."
    )

    count = 0

    def so_far(self) -> str:
        return f"{number_of_events(self.count)} sealed. Run the command again: it continues."

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        self._seal(using)
        digest = seals.newest_digest(using)
        self.stdout.write(f"{number_of_events(self.count)} sealed. Seals reach up to position {digest.position}.")

    def _seal(self, using: str) -> None:
        begin, up_to = seals.newest_digest(using).position, ordering.settled_position(using)
        with progress() as bar:
            task = bar.add_task("Sealing", total=up_to - begin, events=0)
            while events := seals.seal(using, up_to=up_to):
                self.count += events
                bar.update(task, completed=seals.newest_digest(using).position - begin, events=self.count)
