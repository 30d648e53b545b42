"""`manage.py events_digest`: the digest of all sealed events, to be kept elsewhere."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections

from events import sealing


class Command(BaseCommand):
    help = (
        "Print the digest of all sealed events. Keep it where nobody who can write to the database can: "
        "verify_events --against DIGEST then proves that nothing up to it has changed or gone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="alias of the database (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        if using not in connections:
            raise CommandError(f"--database: there is no {using!r} in DATABASES")
        digest = sealing.newest_digest(using)
        if not digest.position:
            raise CommandError("Nothing is sealed yet: run seal_events, or set PROJECTIONS_SEALS for the workers.")
        self.stdout.write(str(digest))
        self.stderr.write(str(sealing.unsealed(using)))
