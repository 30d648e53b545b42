"""`manage.py event_schemas`: write the lock of event schemas, check it, or print the catalogue of event types."""

from typing import Any

from django.core.management import CommandError, CommandParser

from events.domain import catalogue, locks
from events.management.base import ReportingCommand
from events.management.endings import wrong_arguments
from events.routing import database


class Command(ReportingCommand):
    help = (
        "Write the JSON Schema of each event type, in each version, to event_schemas.json of its app. The file is not"
        " written if a payload changed so that stored events no longer fit: such a change needs a new version and an"
        " upcaster."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")
        what.add_argument(
            "--markdown", action="store_true", help="print the catalogue of event types, and write nothing"
        )
        parser.add_argument(
            "--counts", action="store_true", help="with --markdown: how many events of each type the database has"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["counts"] and not options["markdown"]:
            raise wrong_arguments("--counts goes with --markdown")
        if options["markdown"]:
            counts = catalogue.counts(database()) if options["counts"] else None
            self.stdout.write(catalogue.as_markdown(catalogue.entries(database()), counts))
        else:
            self._compare(is_check=options["check"])

    def _compare(self, *, is_check: bool) -> None:
        try:
            lock = locks.compare()
        except (locks.BrokenLock, TypeError) as error:
            raise CommandError(f"{error}.") from error
        for event_type in lock.homeless:
            self.stderr.write(f"{event_type.place} belongs to no installed app, so no file has its schema.")
        if lock.problems:
            for problem in lock.problems:
                self.stdout.write(problem)
            number = len(lock.problems)
            raise CommandError(f"{number} change{'s' * (number > 1)} would make stored events unreadable; see above.")
        if is_check:
            if lock.outdated:
                files = ", ".join(str(path) for path in lock.outdated)
                raise CommandError(f"Out of date: {files}. Run event_schemas, and commit the result.")
            self.stdout.write("The event schemas are up to date.")
            return
        for path in (changed := lock.write()):
            self.stdout.write(f"{'Wrote' if path.exists() else 'Removed'} {path}")
        if not changed:
            self.stdout.write("The event schemas are up to date.")
