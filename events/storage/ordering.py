"""The order of the log: the settled position, up to which no further event can appear."""

import psycopg
from django.db import DatabaseError, connections

from events.exceptions import UnsafeRead

from . import server_errors
from .prepared_statements import PreparedStatement
from .query_files import fetch_tuples

_SETTLED_AFTER = PreparedStatement(
    "events_settled_after",
    """
    SELECT CASE WHEN is_called AND last_value > $1 THEN events_settled_position() ELSE $1 END
    FROM events_event_position_seq
    """,
)


_LAST_GIVEN_OUT = """
    SELECT greatest(CASE WHEN is_called THEN last_value ELSE 0 END, (SELECT max(position) FROM events_event))
    FROM events_event_position_seq
"""


# The setting of `sql/hold_floor.sql`: the oid of the sequence, and the floor.
_IS_HELD_HERE = """
    SELECT coalesce(held[1] = 'events_event_position_seq'::regclass::oid::text AND held[2]::bigint < %s, false)
    FROM string_to_array(current_setting('events.floor_held', true), ':') AS held
"""


def settled_position(using: str) -> int:
    """Return the position of the highest event below which no event can appear; read events in a later statement.

    `sql/settled_position.sql` and `sql/hold_floor.sql` explain why this holds.

    Raises:
        UnsafeRead: the transaction is not READ COMMITTED, or the server is a standby.
    """
    try:
        return int(fetch_tuples(using, "SELECT events_settled_position()")[0][0])
    except DatabaseError as error:
        cause = error.__cause__
        if isinstance(cause, psycopg.Error) and cause.sqlstate == "EV003":
            raise UnsafeRead(f"{cause.diag.message_primary}. {cause.diag.message_hint}") from error
        raise server_errors.explained(error, using) from cause


def settled_position_after(position: int, using: str) -> int:
    """Return the settled position. Cheaper than `settled_position()` for callers that poll while nothing is stored.

    Args:
        position: a settled position from an earlier call; returned while no append has taken a higher position.
    """
    connection = connections[using]
    connection.ensure_connection()
    session, arguments = connection.connection, [b"%d" % position]
    try:
        rows = _SETTLED_AFTER.rows(session, arguments)
    except psycopg.Error:
        rows = None  # `settled_position` raises the right error
    if rows is None:
        rows = _SETTLED_AFTER.rows_unprepared(session, arguments)
    return rows[0][0] if rows else settled_position(using)


def is_held_here(position: int, using: str) -> bool:
    """Return whether no other session can read up to `position` before the open transaction of this connection ends.

    This holds if the transaction has appended and holds a floor below the position.
    """
    return connections[using].in_atomic_block and bool(fetch_tuples(using, _IS_HELD_HERE, [position])[0][0])


def last_given_out(using: str) -> int:
    """Return the highest position that an append has taken, whether or not it has committed; 0 if there is none.

    The events count too: after logical replication, for example, the sequence may be behind them.
    """
    return int(fetch_tuples(using, _LAST_GIVEN_OUT)[0][0])
