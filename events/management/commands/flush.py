"""`manage.py flush`, which passes the guards only in tests, because `TransactionTestCase` empties the database with it.

Outside tests it is rejected, because it would remove all events.
"""

from typing import Any

from django.core.management import CommandError
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.test.utils import _TestState

from events.routing import has_store


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if not has_store(connection.alias):
            return super().handle(**options)
        if not _is_of_a_test(connection):
            raise CommandError(
                "Rejected: flush would remove every event. To start again, drop the database and migrate. It is allowed"
                " in a test, in a database with the name that the test runner gives it (TEST NAME in DATABASES)."
            )
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL events.maintenance = 'on'")
            return super().handle(**options)


def _is_of_a_test(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a test runner is at work, on a database that it made.

    Both are needed: Django's tutorial sets up the environment of a test in a shell, on the project's own database. The
    runner renames the connection to its database: to TEST NAME, or to the project's name with a prefix, and copies for
    parallel processes have a suffix behind it.
    """
    name, test_name = str(connection.settings_dict["NAME"]), connection.settings_dict["TEST"].get("NAME")
    made = name == test_name or name.startswith(f"{test_name}_" if test_name else TEST_DATABASE_PREFIX)
    return made and hasattr(_TestState, "saved_data")
