"""The base class of the management commands of a store."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.transaction import TransactionManagementError

from events.storage import autocommit


class StoreCommand(BaseCommand):
    """A command for the store in one database; its alias is `options["database"]`."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS, help="the alias of the database (%(default)s)")

    def execute(self, *args: Any, **options: Any) -> Any:
        if options["database"] not in connections:
            raise CommandError(f"--database: there is no {options['database']!r} in DATABASES")
        try:
            autocommit.turn_on(options["database"])
            connections[options["database"]].ensure_connection()
        except TransactionManagementError as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database {options['database']!r} cannot be reached: {reason}") from error
        return super().execute(*args, **options)
