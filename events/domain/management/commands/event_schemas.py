"""`manage.py event_schemas`: write the lock of event schemas, or check it."""

from typing import Any

from django.core.management import CommandError, CommandParser

from events.domain import locks
from events.management.base import ReportingCommand


class Command(ReportingCommand):
    help = (
        "Write the JSON Schema of each event type, in each version, to event_schemas.json of its app. The file is not"
        " written if a payload changed so that stored events no longer fit: such a change needs a new version and an"
        " upcaster."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file would change")

    def handle(self, *args: Any, **options: Any) -> None:
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
        if options["check"]:
            if lock.outdated:
                files = ", ".join(str(path) for path in lock.outdated)
                raise CommandError(f"Out of date: {files}. Run event_schemas, and commit the result.")
            self.stdout.write("The event schemas are up to date.")
            return
        for path in (changed := lock.write()):
            self.stdout.write(f"{'Wrote' if path.exists() else 'Removed'} {path}")
        if not changed:
            self.stdout.write("The event schemas are up to date.")
