"""Django's `flush`, let past the guards while tests run, because `TransactionTestCase` empties the database with it.

Everywhere else the guards refuse it, as they should: it would empty the event store.
"""

from typing import Any

from django.core import mail
from django.core.management.commands.flush import Command as FlushCommand
from django.db import connections, transaction


class Command(FlushCommand):
    def handle(self, **options: Any) -> None:
        # Django's test runner, and pytest-django, put the outbox there (setup_test_environment).
        connection = connections[options["database"]]
        if not hasattr(mail, "outbox") or connection.vendor != "postgresql":
            return super().handle(**options)
        with transaction.atomic(using=connection.alias):
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL events.maintenance = 'on'")
            return super().handle(**options)
