"""`manage.py verify_events`: whether the events are those that were sealed."""

import time
from typing import Any

from django.core.management import CommandError, CommandParser

from events import sealing
from events.exceptions import BrokenSeal
from events.management.commandbase import StoreCommand
from events.management.progress import progress
from events.sealing import StoreDigest
from events.verifying import Verification


class Command(StoreCommand):
    help = (
        "Compare every sealed event with its seal. It ends with exit code 1 at the first event, or seal, that does not"
        " fit. Whoever may write past the guards may write the seals anew as well: only a digest kept elsewhere"
        " (events_digest) proves the store against them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from", type=int, default=0, dest="begin", metavar="POSITION", help="only seals from this position on"
        )
        parser.add_argument(
            "--against", metavar="DIGEST", help="what events_digest printed once, and was kept elsewhere"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        if options["begin"] and options["against"]:
            raise CommandError("--against tells of all events from the first one on: leave --from out")
        try:
            against = StoreDigest.parse(options["against"]) if options["against"] else None
        except ValueError as error:
            raise CommandError(f"--against: {error}") from error
        started = time.monotonic()
        verification = Verification(using, begin=options["begin"], against=against)
        try:
            self._run(verification, using)
        except BrokenSeal as broken:
            raise CommandError(f"Position {broken.position}: {broken}. {_fits(verification)}") from broken
        seconds = time.monotonic() - started
        self.stdout.write(f"{_fits(verification)} ({verification.events / max(seconds, 1e-9):,.0f} events/s)")
        if against:
            self.stdout.write(f"All up to position {against.position} is what it was when the digest was taken.")
        self.stdout.write(str(sealing.unsealed(using)))

    def _run(self, verification: Verification, using: str) -> None:
        begin = verification.digest.position
        with progress() as bar:
            task = bar.add_task("Verifying", total=sealing.newest_digest(using).position - begin, events=0)
            for _ in verification.run():
                bar.update(task, completed=verification.digest.position - begin, events=verification.events)


def _fits(verification: Verification) -> str:
    return (
        f"{verification.events:,} events, under {verification.seals:,} seals, fit: all up to position"
        f" {verification.digest.position}."
    )
