"""The transaction in which a diagnostic runs, so that the settings that it diagnoses do not stop it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connections, transaction

# The first statement must set the isolation level: a standby rejects all others in a SERIALIZABLE transaction.
_SETTINGS: Final = """
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY;
    SET LOCAL statement_timeout = '60s';
    SET LOCAL lock_timeout = '10s';
    SET LOCAL quote_all_identifiers = off;
    SET LOCAL DateStyle = 'ISO';
    SET LOCAL idle_in_transaction_session_timeout = 0;
"""


@contextmanager
def diagnosis(using: str) -> Iterator[None]:
    """Run the block in a READ COMMITTED transaction that changes nothing, with timeouts of its own.

    If the caller has a transaction already, its settings hold.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic(using):
        with connection.cursor() as cursor:
            cursor.execute(_SETTINGS)
            # It is new in PostgreSQL 17.
            cursor.execute("SELECT set_config(name, '0', true) FROM pg_settings WHERE name = 'transaction_timeout'")
        yield
