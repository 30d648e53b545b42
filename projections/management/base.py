"""The base classes of the commands of projections."""

import getpass
from typing import Any

from django.core.management import CommandError, CommandParser

from events.management.base import ReportingCommand
from events.management.endings import wrong_arguments
from events.routing import database
from events.storage import autocommit
from projections.exceptions import ProjectionError, UnknownProjection


def operator() -> str:
    """Return the account of the operating system that runs the command, for the record."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return "manage.py"


class ProjectionCommand(ReportingCommand):
    """A command of the projections; the errors that they raise end it with their message."""

    def _execute(self, *args: Any, **options: Any) -> Any:
        try:
            return super()._execute(*args, **options)
        except UnknownProjection as error:
            raise wrong_arguments(str(error)) from error
        except ProjectionError as error:
            raise CommandError(str(error)) from error


class WritingCommand(ProjectionCommand):
    """A command that writes, and commits what it writes."""

    def so_far(self) -> str:
        return "list_projections shows whether it was done. If not, run the command again."

    def _execute(self, *args: Any, **options: Any) -> Any:
        autocommit.turn_on(database())
        return super()._execute(*args, **options)


class OperationCommand(WritingCommand):
    """A command that does one operation on one projection, and prints the result."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--reason", default="", help="for the record")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(self.operate(options["name"], operator(), options["reason"], options))

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        raise NotImplementedError
