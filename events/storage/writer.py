"""Appending: one call of an append function, and its answer as events or as the error it stands for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from events.exceptions import Conflict, DuplicateEvent, VersionConflict
from events.models import Event
from events.types import expectation_from_sql
from events.validation import ValidatedEvent

from .prepared import PreparedStatement


class _Call:
    """A call of one of the append functions, as both ways to send it have it."""

    def __init__(self, label: str, query: str, places: int) -> None:
        self.by_cursor = query.format(*["%s"] * places)
        self.prepared = PreparedStatement(label, query.format(*(f"${place}" for place in range(1, places + 1))))


# What is asked for of events that were appended is only what is not known: each value takes its time to be read.
_APPEND = _Call(
    "events_append",
    """
    SELECT outcome, CASE outcome WHEN 'appended' THEN NULL ELSE aggregate_id END, version, "position", "timestamp",
           recorded_at, CASE outcome WHEN 'appended' THEN NULL ELSE event_id END, expected
    FROM events_append({}::text[], {}::text[], {}::jsonb[], {}::jsonb[], {}::timestamptz[], {}::uuid[],
                       {}::text[], {}::bigint[], false)
    """,
    places=8,
)
_APPEND_ONE = _Call(
    "events_append_one",
    """
    SELECT outcome, aggregate_id, version, "position", "timestamp", recorded_at
    FROM events_append_one({}::text, {}::text, {}::jsonb, {}::jsonb, {}::timestamptz, {}::uuid, {}::bigint, false)
    """,
    places=7,
)


class AppendOutcome(StrEnum):
    """What an append function did with a call; it names the outcome in each row of its answer."""

    APPENDED = "appended"
    STORED = "stored"  # by an earlier call, of which this one is a retry
    CONFLICT = "conflict"
    DUPLICATE = "duplicate"


class _Answer(NamedTuple):
    """One row of an append function's answer."""

    outcome: str
    aggregate_id: str
    version: int
    position: int
    timestamp: datetime
    recorded_at: datetime
    event_id: UUID
    expected: int | None


class Appended(NamedTuple):
    """The stored events of a call, in the order given, and whether this call stored them or an earlier one."""

    events: list[Event]
    is_retry: bool


def append(rows: Sequence[ValidatedEvent], expected: Mapping[str, int], using: str) -> Appended:
    """Store `rows` if every expectation holds, all of them or none, in one round trip.

    A rejection is an answer of the append function, not a database error: an enclosing transaction stays usable.

    Raises:
        VersionConflict: an expectation does not hold.
        DuplicateEvent: an event id is in use, and this is not a retry.
    """
    answers = _answers(rows, expected, using)
    outcome = AppendOutcome(answers[0].outcome) if answers else AppendOutcome.APPENDED
    if outcome is AppendOutcome.APPENDED:
        return Appended(Event.many_from_db(using, map(_stored, rows, answers)), is_retry=False)
    if outcome is AppendOutcome.CONFLICT:
        raise VersionConflict(
            [Conflict(row.aggregate_id, expectation_from_sql(row.expected), row.version) for row in answers]
        )
    if outcome is AppendOutcome.DUPLICATE:
        raise _duplicate(answers[0])
    ids = [row.event_id for row in rows]
    return Appended(list(Event.objects.using(using).filter(event_id__in=ids).order_by("position")), is_retry=True)


def _answers(rows: Sequence[ValidatedEvent], expected: Mapping[str, int], using: str) -> list[_Answer]:
    if len(rows) == 1 and expected.keys() <= {rows[0].aggregate_id}:
        (row,) = rows
        version = expected.get(row.aggregate_id)
        (answer,) = _call(_APPEND_ONE, _values(row, version), using)
        return [_Answer._make((*answer, row.event_id, version))]
    return list(map(_Answer._make, _call(_APPEND, _arrays(rows, expected), using)))


def _stored(row: ValidatedEvent, answer: _Answer) -> dict[str, Any]:
    return {
        "position": answer.position,
        "aggregate_id": row.aggregate_id,
        "version": answer.version,
        "event_id": row.event_id,
        "type": row.type,
        "data": row.data,
        "metadata": row.metadata,
        "timestamp": answer.timestamp,
        "recorded_at": answer.recorded_at,
    }


def _call(call: _Call, arguments: list[bytes | None], using: str) -> list[tuple[Any, ...]]:
    connection = connections[using]
    try:
        answers = _call_prepared(call, connection, arguments)
        if answers is not None:
            return answers
        with connection.cursor() as cursor:
            cursor.execute(call.by_cursor, [None if each is None else each.decode() for each in arguments])
            return list(cursor.fetchall())
    except IntegrityError as error:
        raise _race_for_an_id(error, using) from error


def _call_prepared(
    call: _Call, connection: BaseDatabaseWrapper, arguments: list[bytes | None]
) -> list[tuple[Any, ...]] | None:
    """Call an append function past Django's cursor; None where that is to be used.

    In a transaction, because a prepared statement might not be known (`prepared`); and where somebody counts, logs or
    wraps the statements that cursors execute.
    """
    if connection.in_atomic_block or connection.queries_logged or connection.execute_wrappers:
        return None
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    connection.validate_thread_sharing()
    if not connection.autocommit:
        return None
    try:
        return call.prepared.rows(connection.connection, arguments)
    except psycopg.Error:
        with connection.wrap_database_errors:
            raise


def _values(row: ValidatedEvent, version: int | None) -> list[bytes | None]:
    """Return the arguments of the function for one event."""
    return [
        row.aggregate_id.encode(),
        row.type.encode(),
        row.data_json,
        row.metadata_json,
        None if row.timestamp is None else row.timestamp.isoformat().encode(),
        row.event_id.hex.encode(),
        None if version is None else b"%d" % version,
    ]


def _arrays(rows: Sequence[ValidatedEvent], expected: Mapping[str, int]) -> list[bytes | None]:
    """Return the arguments of the function for any number of events, as PostgreSQL writes arrays.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO has the rules. psycopg would look at each value of a
    list to find out of which type it is; these are known.
    """
    return [
        _texts([row.aggregate_id.encode() for row in rows]),
        _texts([row.type.encode() for row in rows]),
        _texts([row.data_json for row in rows]),
        _texts([row.metadata_json for row in rows]),
        _plain([b"NULL" if row.timestamp is None else b'"%b"' % row.timestamp.isoformat().encode() for row in rows]),
        _plain([row.event_id.hex.encode() for row in rows]),
        _texts([aggregate_id.encode() for aggregate_id in expected]),
        _plain([b"%d" % version for version in expected.values()]),
    ]


def _texts(values: Sequence[bytes]) -> bytes:
    # A sign that stands in no text parts the values: then one replacement does for all of them.
    text = b"\0".join(values).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'{"' + text.replace(b"\0", b'","') + b'"}' if values else b"{}"


def _plain(values: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(values) + b"}"


def _race_for_an_id(error: DatabaseError, using: str) -> Exception:
    """Return the meaning of a violated constraint.

    The aggregates' locks order the calls that share one, so what is left is two calls that store one event id under
    two aggregates at the same moment. PostgreSQL has then ended an enclosing transaction; Django must know.
    """
    if getattr(error.__cause__, "sqlstate", None) != "23505":
        return error
    if connections[using].in_atomic_block:
        transaction.set_rollback(True, using)
    return DuplicateEvent(None, None, "an event id of this call has just been stored under another aggregate")


def _duplicate(answer: _Answer) -> DuplicateEvent:
    return DuplicateEvent(
        answer.event_id,
        answer.aggregate_id,
        f"the event id {answer.event_id} is in use already, in aggregate {answer.aggregate_id!r} at version"
        f" {answer.version}; a retry repeats a call as it was, a new event takes a new id",
    )
