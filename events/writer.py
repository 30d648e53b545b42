"""Appending: one call of the append function, and its answer as events or as the error it stands for."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from django.db import DatabaseError, IntegrityError, connections, transaction

from .exceptions import Conflict, DuplicateEvent, VersionConflict
from .models import Event
from .types import expectation_from_sql
from .validation import Row

_APPEND = """
    SELECT outcome, aggregate_id, event_id, expected, version, "position", "timestamp", recorded_at
    FROM events_append(%s::text[], %s::text[], %s::jsonb[], %s::jsonb[], %s::timestamptz[], %s::uuid[],
                       %s::text[], %s::bigint[], false)
"""


class _Answer(NamedTuple):
    """One row of the append function's answer."""

    outcome: str
    aggregate_id: str
    event_id: UUID
    expected: int
    version: int
    position: int
    timestamp: datetime
    recorded_at: datetime


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
    answers = _call(rows, expected, using)
    outcome = answers[0].outcome if answers else "appended"
    if outcome == "conflict":
        raise VersionConflict(
            [Conflict(row.aggregate_id, expectation_from_sql(row.expected), row.version) for row in answers]
        )
    if outcome == "duplicate":
        raise _duplicate(answers[0])
    if outcome == "stored":
        ids = [row.event_id for row in answers]
        return Appended(list(Event.objects.using(using).filter(event_id__in=ids).order_by("position")), is_retry=True)
    return Appended([_event(row, answer, using) for row, answer in zip(rows, answers, strict=True)], is_retry=False)


def _call(rows: Sequence[Row], expected: Mapping[str, int], using: str) -> list[_Answer]:
    columns = zip(*rows, strict=True) if rows else [()] * len(Row._fields)
    aggregate_ids, types, data, metadata, timestamps, event_ids, *_ = map(list, columns)
    arguments = [aggregate_ids, types, data, metadata, timestamps, event_ids, [*expected], [*expected.values()]]
    try:
        with connections[using].cursor() as cursor:
            cursor.execute(_APPEND, arguments)
            return [_Answer(*answer) for answer in cursor.fetchall()]
    except IntegrityError as error:
        raise _race_for_an_id(error, using) from error


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


def _event(row: Row, answer: _Answer, using: str) -> Event:
    return Event.from_db(
        using,
        _COLUMNS,
        [
            answer.position,
            row.aggregate_id,
            answer.version,
            row.event_id,
            row.type,
            row.data,
            row.metadata,
            answer.timestamp,
            answer.recorded_at,
        ],
    )


_COLUMNS = [field.attname for field in Event._meta.concrete_fields]
