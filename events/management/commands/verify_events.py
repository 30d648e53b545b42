"""`manage.py verify_events`: verify that the sealed events have not changed."""

import time
from typing import Any

from django.core.management import CommandError, CommandParser
from django.utils.text import capfirst

from events.exceptions import BrokenSeal
from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.integrity.verification import Verification
from events.management.base import StoreCommand
from events.management.endings import wrong_arguments
from events.management.progress import progress
from events.plurals import number_of, number_of_events


class Command(StoreCommand):
    help = (
        "Compare every sealed event with its seal, and verify the positions, versions and ids of all events."
        " The command ends with exit code 1 at the first event or seal that"
        " does not match. A role that may pass the guards can also forge seals: only a digest that was kept elsewhere"
        " (events_digest) reveals such changes."
    )

    verification: Verification | None = None

    def so_far(self) -> str:
        if self.verification is None or not self.verification.events:
            return "Nothing was verified. Run the command again."
        # A digest that was kept elsewhere is compared from the first event on.
        again = f"Continue with --from {self.verification.digest.position}, or, with --against, run the command again."
        return f"Verified so far: {number_of_events(self.verification.events)}. {again}"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--from", type=int, dest="begin", metavar="POSITION", help="begin with the seal that covers this position"
        )
        parser.add_argument(
            "--against", metavar="DIGEST", help="a digest that events_digest printed and that was kept elsewhere"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        against = self._against(options)
        begin = options["begin"]
        newest = seals.newest_digest(using).position
        if begin is not None and not 0 < begin <= newest:
            raise wrong_arguments(f"--from: give a position from 1 to {newest}, the last sealed position")
        started = time.monotonic()
        self.verification = verification = Verification(using, begin=begin or 0, against=against)
        after = verification.digest.position
        try:
            self._run(verification, using)
        except BrokenSeal as broken:
            raise CommandError(
                f"{capfirst(str(broken))}.\nVerified before it: {number_of_events(verification.events)}."
                " docs/operations.md says what to do, under “When verification fails”."
            ) from broken
        seconds = time.monotonic() - started
        self.stdout.write(
            f"Verified: {number_of_events(verification.events)} in {number_of(verification.seals, 'seal')}, all"
            f" from position {after + 1} to {verification.digest.position}"
            f" ({verification.events / max(seconds, 1e-9):,.0f} events/s)."
        )
        if after:
            self.stdout.write(f"The events up to position {after} were not verified.")
        if against:
            self.stdout.write(f"All events up to position {against.position} match the digest.")
        self.stdout.write(str(seals.unsealed(using)))

    def _against(self, options: dict[str, Any]) -> StoreDigest | None:
        if not options["against"]:
            return None
        if options["begin"] is not None:
            raise wrong_arguments("--against verifies all events from the first one on: leave out --from")
        try:
            return StoreDigest.parse(options["against"])
        except ValueError as error:
            raise wrong_arguments(f"--against: {error}") from error

    def _run(self, verification: Verification, using: str) -> None:
        begin = verification.digest.position
        with progress() as bar:
            task = bar.add_task("Verifying", total=seals.newest_digest(using).position - begin, events=0)
            for _ in verification.run():
                bar.update(task, completed=verification.digest.position - begin, events=verification.events)
