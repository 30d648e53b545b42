"""`manage.py events_digest`: print the digest of all sealed events."""

from typing import Any

from django.core.management import CommandError

from events.integrity import seals
from events.management.base import StoreCommand


class Command(StoreCommand):
    help = (
        "Print the digest of all sealed events. Keep it out of reach of everybody who can write to the database:"
        " verify_events --against DIGEST then proves that no event up to it was changed or removed."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        digest = seals.newest_digest(using)
        if not digest.position:
            raise CommandError("Nothing is sealed yet: run seal_events, or set PROJECTIONS_SEALS for the workers.")
        self.stdout.write(str(digest))
        self.stderr.write(str(seals.unsealed(using)))
