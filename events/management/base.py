"""The base class of the management commands of a store."""

from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import OperationalError, connections
from django.db.transaction import TransactionManagementError

from events.routing import database, has_store, where_the_store_is
from events.storage import autocommit


class StoreCommand(BaseCommand):
    """A command for the store in one database; its alias is `options["database"]`.

    Attributes:
        needs_store: whether the command is rejected for a database without the tables of the store.
    """

    needs_store = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=database(), help="the alias of the database (%(default)s)")

    def execute(self, *args: Any, **options: Any) -> Any:
        if options["database"] not in connections:
            raise CommandError(f"--database: there is no {options['database']!r} in DATABASES")
        try:
            autocommit.turn_on(options["database"])
            connections[options["database"]].ensure_connection()
            if self.needs_store and not has_store(options["database"]):
                remedy = where_the_store_is(options["database"])
                raise CommandError(f"The database {options['database']!r} has no event store. {remedy}")
        except TransactionManagementError as error:
            raise CommandError(str(error)) from error
        except OperationalError as error:
            reason = str(error).strip().partition("\n")[0]
            raise CommandError(f"The database {options['database']!r} cannot be reached: {reason}") from error
        return super().execute(*args, **options)
