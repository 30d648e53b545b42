"""Outages: errors that are the database server's, and no fault of an event or a rebuild; to be tried again later."""

from collections.abc import Iterator
from typing import Any

from django.db import connections

OUT_OF_RESOURCES = "53"  # the class of the SQLSTATEs that tell of a full disk, of no memory, of too many connections


def is_outage(error: BaseException, using: str, session: Any = None) -> bool:
    """Say whether `error` came of a connection that is gone, or of a server that is short of something.

    Args:
        session: the connection as it was before. A transaction that loses its connection ends with a new one in place,
            if the server is there again by then: Django opens it on the way out.
    """
    connection = connections[using].connection
    if connection is None or connection.closed or session not in (None, connection):
        return True
    return any(str(getattr(each, "sqlstate", None)).startswith(OUT_OF_RESOURCES) for each in _chain(error))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error:
        yield error
        error = error.__cause__ or error.__context__
