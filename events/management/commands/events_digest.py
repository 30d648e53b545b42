"""`manage.py events_digest`: the digest of all sealed events, to be kept elsewhere."""

from typing import Any

from django.core.management import CommandError

from events.integrity import seals
from events.management.base import StoreCommand


class Command(StoreCommand):
    help = (
        "Print the digest of all sealed events. Keep it where nobody who can write to the database can: "
        "verify_events --against DIGEST then proves that nothing up to it has changed or gone."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        digest = seals.newest_digest(using)
        if not digest.position:
            raise CommandError("Nothing is sealed yet: run seal_events, or set PROJECTIONS_SEALS for the workers.")
        self.stdout.write(str(digest))
        self.stderr.write(str(seals.unsealed(using)))
