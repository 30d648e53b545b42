"""Appending: one call of an append function, and its answer as events or as the error it stands for."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from django.db import DatabaseError, IntegrityError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from .exceptions import Conflict, DuplicateEvent, VersionConflict
from .models import Event
from .prepared import PreparedStatement
from .types import expectation_from_sql
from .validation import Row


class _Call:
    """A call of one of the append functions, as both ways to send it have it."""

    def __init__(self, label: str, query: str, places: int) -> None:
        self.by_cursor = query.format(*["%s"] * places)
        self.prepared = PreparedStatement(label, query.format(*(f"${place}" for place in range(1, places + 1))))


_APPEND = _Call(
    "events_append",
    """
    SELECT outcome, aggregate_id, version, "position", "timestamp", recorded_at, event_id, expected
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


def append(rows: Sequence[Row], expected: Mapping[str, int], using: str) -> Appended:
    """Store `rows` if every expectation holds, all of them or none, in one round trip.

    A refusal is an answer of the append function, not a database error: an enclosing transaction stays usable.

    Raises:
        VersionConflict: an expectation does not hold.
        DuplicateEvent: an event id is in use, and this is not a retry.
    """
    answers = _answers(rows, expected, using)
    outcome = answers[0].outcome if answers else "appended"
    if outcome == "conflict":
        raise VersionConflict(
            [Conflict(row.aggregate_id, expectation_from_sql(row.expected), row.version) for row in answers]
        )
    if outcome == "duplicate":
        raise _duplicate(answers[0])
    if outcome == "stored":
        ids = [row.event_id for row in rows]
        return Appended(list(Event.objects.using(using).filter(event_id__in=ids).order_by("position")), is_retry=True)
    return Appended(_events(rows, answers, using), is_retry=False)


def _answers(rows: Sequence[Row], expected: Mapping[str, int], using: str) -> list[_Answer]:
    if len(rows) == 1 and expected.keys() <= {rows[0].aggregate_id}:
        (row,) = rows
        version = expected.get(row.aggregate_id)
        answers = _call(_APPEND_ONE, _values(row, version), using)
        return [_Answer._make((*answer, row.event_id, version)) for answer in answers]
    return [_Answer(*answer) for answer in _call(_APPEND, _arrays(rows, expected), using)]


def _call(call: _Call, arguments: list[str | None], using: str) -> list[tuple[Any, ...]]:
    connection = connections[using]
    try:
        answers = _call_prepared(call, connection, arguments)
        if answers is not None:
            return answers
        with connection.cursor() as cursor:
            cursor.execute(call.by_cursor, arguments)
            return list(cursor.fetchall())
    except IntegrityError as error:
        raise _race_for_an_id(error, using) from error


def _call_prepared(
    call: _Call, connection: BaseDatabaseWrapper, arguments: list[str | None]
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
        return call.prepared.rows(
            connection.connection, [None if each is None else each.encode() for each in arguments]
        )
    except psycopg.Error:
        with connection.wrap_database_errors:
            raise


def _values(row: Row, version: int | None) -> list[str | None]:
    """Return the arguments of the function for one event."""
    return [
        row.aggregate_id,
        row.type,
        row.data_json,
        row.metadata_json,
        None if row.timestamp is None else row.timestamp.isoformat(),
        str(row.event_id),
        None if version is None else str(version),
    ]


def _arrays(rows: Sequence[Row], expected: Mapping[str, int]) -> list[str | None]:
    """Return the arguments of the function for any number of events, as PostgreSQL writes arrays.

    https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO has the rules. psycopg would look at each value of a
    list to find out of which type it is; these are known.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(Row._fields)
    aggregate_ids, types, data, metadata, timestamps, event_ids, *_ = columns
    return [
        _texts(aggregate_ids),
        _texts(types),
        _texts(data),
        _texts(metadata),
        _plain("NULL" if moment is None else f'"{moment.isoformat()}"' for moment in timestamps),
        _plain(map(str, event_ids)),
        _texts(expected),
        _plain(map(str, expected.values())),
    ]


def _texts(values: Iterable[str]) -> str:
    return _plain('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)


def _plain(values: Iterable[str]) -> str:
    return "{" + ",".join(values) + "}"


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


def _events(rows: Sequence[Row], answers: Sequence[_Answer], using: str) -> list[Event]:
    return Event.many_from_db(
        using,
        (
            {
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
            for row, answer in zip(rows, answers, strict=True)
        ),
    )
