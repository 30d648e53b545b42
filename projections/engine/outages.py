"""Outages and deadlocks: errors that no event and no rebuild has caused; a later attempt may succeed."""

from collections.abc import Iterator
from typing import Any

from django.db import connections

OUT_OF_RESOURCES = "53"  # SQLSTATE class: disk full, out of memory, too many connections
DEADLOCK = "40P01"
# More at the same position count as failures: the handler locks what it needs in an order that cannot work.
MAX_DEADLOCKS = 5


def is_outage(error: BaseException, using: str, session: Any = None) -> bool:
    """Return whether a lost connection, or a server without enough resources, has caused `error`.

    Args:
        session: the connection that the transaction began with. If a transaction loses its connection, Django may
            already have opened a new one when the transaction ends.
    """
    if has_lost_connection(using, session):
        return True
    return _has_sqlstate(error, OUT_OF_RESOURCES)


def is_deadlock(error: BaseException) -> bool:
    """Return whether PostgreSQL has ended a transaction because of a deadlock with another one."""
    return _has_sqlstate(error, DEADLOCK)


def has_lost_connection(using: str, session: Any = None) -> bool:
    """Return whether the connection is lost, or another one has replaced `session`."""
    connection = connections[using].connection
    return connection is None or connection.closed or session not in (None, connection)


def _has_sqlstate(error: BaseException, prefix: str) -> bool:
    return any(str(getattr(each, "sqlstate", None)).startswith(prefix) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()  # an exception that is raised again is in its own chain
    while error and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
