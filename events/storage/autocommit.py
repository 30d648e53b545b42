"""Autocommit: without it, nothing that the store reports as stored is committed.

With `AUTOCOMMIT: False` in `DATABASES`, Django commits nothing by itself, not even at the end of `atomic()`.
"""

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.transaction import TransactionManagementError
from psycopg.pq import TransactionStatus


def require(using: str) -> None:
    """Raise if the project has set autocommit off for a database.

    Code that calls `set_autocommit(False)` on a connection commits by itself, as Django documents.

    Raises:
        ImproperlyConfigured: it has.
    """
    if not connections[using].settings_dict["AUTOCOMMIT"]:
        raise ImproperlyConfigured(
            f"DATABASES[{using!r}]['AUTOCOMMIT'] is False, so what is written would never be committed. Remove it."
        )


def turn_on(using: str) -> None:
    """Turn autocommit on in this process, whatever the settings say: for commands, which end with what they wrote.

    Raises:
        TransactionManagementError: autocommit is off, and a transaction is open, which only its owner can commit.
    """
    connection = connections[using]
    connection.settings_dict["AUTOCOMMIT"] = True  # also for the connections that are opened later
    if connection.connection is None or connection.in_atomic_block or connection.get_autocommit():
        return
    if connection.connection.info.transaction_status is not TransactionStatus.IDLE:
        raise TransactionManagementError(
            f"The connection {using!r} has autocommit off and an open transaction. Commit it, or roll it back, and call"
            " transaction.set_autocommit(True)."
        )
    connection.set_autocommit(True)
