"""`manage.py verify_snapshots`: compare the snapshots of aggregates with their events."""

from typing import Any

from django.core.management import CommandError, CommandParser

from events.domain.verification import Verified, of_other_code, verify
from events.management.base import StoreCommand
from events.plurals import number_of


class Command(StoreCommand):
    help = (
        "Compute each aggregate with a snapshot again from its events, compare the two, and print what differs. The"
        " exit code is 1 if a snapshot is wrong. Snapshots of other code are counted, and not compared."
    )

    verified = 0

    def so_far(self) -> str:
        return f"Verified so far: {number_of(self.verified, 'snapshot')}. Run the command again."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--delete", action="store_true", help="delete the snapshots that are wrong")
        parser.add_argument(
            "--delete-outdated",
            action="store_true",
            help="delete the snapshots of other code; processes that still run it make theirs again",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.verified = wrong = 0
        for each in verify(options["database"]):
            self.verified += 1
            if each.problems:
                wrong += 1
                self._report(each, options)
        self.stdout.write(f"Verified: {number_of(self.verified, 'snapshot')}.")
        self._count_outdated(options)
        if wrong:
            remedy = "They were deleted." if options["delete"] else "Delete them with --delete; commands make new ones."
            raise CommandError(f"Wrong: {number_of(wrong, 'snapshot')}. {remedy}", returncode=1)

    def _report(self, verified: Verified, options: dict[str, Any]) -> None:
        for problem in verified.problems:
            self.stdout.write(f"{verified.snapshot}: {problem}")
        if options["delete"]:
            verified.snapshot.delete(using=options["database"])

    def _count_outdated(self, options: dict[str, Any]) -> None:
        outdated = of_other_code(options["database"])
        if options["delete_outdated"]:
            deleted, _ = outdated.delete()
            self.stdout.write(f"Deleted: {number_of(deleted, 'snapshot')} of other code.")
        elif count := outdated.count():
            self.stdout.write(
                f"Not verified: {number_of(count, 'snapshot')} of other code; --delete-outdated deletes such snapshots."
            )
