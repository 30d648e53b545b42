"""Django's `flush`, let past the guards while tests run, because `TransactionTestCase` empties the database with it.

Everywhere else it is rejected: it would empty the event store.
"""

from typing import Any

from django.core import mail
from django.core.management import CommandError
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections, transaction

from events.models import Event


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        # Django's test runner, and pytest-django, put the outbox there (setup_test_environment).
        connection = connections[options["database"]]
        if Event._meta.db_table not in connection.introspection.table_names():
            return super().handle(**options)  # a database without the event store
        if not hasattr(mail, "outbox"):
            raise CommandError("Rejected: it would remove every event. To start anew, drop the database and migrate.")
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL events.maintenance = 'on'")
            return super().handle(**options)
