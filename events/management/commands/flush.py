"""`manage.py flush`, which passes the guards only in tests, because `TransactionTestCase` empties the database with it.

Outside tests it is rejected, because it would remove all events.
"""

from typing import Any

from django.core.management import CommandError
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections, transaction

from events.management.base import ReportingCommand
from events.routing import has_store
from events.storage import fixtures


class Command(ReportingCommand, FlushCommand):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        if not has_store(connection.alias):
            return super().handle(**options)
        if not fixtures.is_of_a_test(connection):
            raise CommandError(
                "Rejected: flush would remove every event. To start again, drop the database and migrate. It is allowed"
                " in a test, in a database with the name that the test runner gives it (TEST NAME in DATABASES)."
            )
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL events.maintenance = 'on'")
            return super().handle(**options)
