"""Appends: calls of the SQL append functions, and their results as events or errors."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, ProgrammingError, connections, transaction

from events.exceptions import Conflict, DuplicateEvent, InvalidEvent, VersionConflict
from events.jsonb import loads
from events.models import Event
from events.types import expectation_from_sql
from events.validation import ValidatedEvent

from . import autocommit, retries, server_errors
from .prepared_statements import Call
from .query_files import fetch_tuples

# For appended events, columns that Python already knows are NULL: loading a value takes time.
_APPEND = Call(
    "events_append",
    """
    SELECT outcome, CASE outcome WHEN 'appended' THEN NULL ELSE aggregate_id END, version, "position", "timestamp",
           recorded_at, type, data::text, metadata::text,
           CASE outcome WHEN 'appended' THEN NULL ELSE event_id END, expected
    FROM events_append({}::text[], {}::text[], {}::jsonb[], {}::jsonb[], {}::timestamptz[], {}::uuid[],
                       {}::text[], {}::bigint[], false, true)
    """,
    places=8,
)
# For an import without subscribers, which needs none of the events: their rows would take a third of its time.
_APPEND_UNREAD = Call(
    "events_append_unread",
    """
    SELECT DISTINCT outcome
    FROM events_append({}::text[], {}::text[], {}::jsonb[], {}::jsonb[], {}::timestamptz[], {}::uuid[],
                       {}::text[], {}::bigint[], false, true)
    """,
    places=8,
)
_APPEND_ONE = Call(
    "events_append_one",
    """
    SELECT outcome, aggregate_id, version, "position", "timestamp", recorded_at, type, data::text, metadata::text
    FROM events_append_one({}::text, {}::text, {}::jsonb, {}::jsonb, {}::timestamptz, {}::uuid, {}::bigint, false, true)
    """,
    places=7,
)


class AppendOutcome(StrEnum):
    """The outcome of a call of an append function; each row of its result has it."""

    APPENDED = "appended"
    STORED = "stored"  # by an earlier call; this call is a retry
    CONFLICT = "conflict"
    DUPLICATE = "duplicate"


class _Answer(NamedTuple):
    """A row of the result of an append function; `type`, `data` and `metadata` are those of a stored event."""

    outcome: str
    aggregate_id: str
    version: int
    position: int
    timestamp: datetime
    recorded_at: datetime
    type: str
    data: str
    metadata: str
    event_id: UUID
    expected: int | None


class Appended(NamedTuple):
    """The stored events of a call, in the order of the call, and whether an earlier call stored them."""

    events: list[Event]
    is_retry: bool


def append(rows: Sequence[ValidatedEvent], expected: Mapping[str, int], using: str) -> Appended:
    """Write `rows` in one round trip, all or none, if every expectation holds; return the events.

    The append function returns a rejection as a result, not as a database error: an enclosing transaction stays usable.

    Raises:
        VersionConflict: an expectation does not hold.
        DuplicateEvent: an event id is already in use, and the call is not a retry.
        InvalidEvent: the database rejects an event, for example because it is too large in PostgreSQL's notation.
        IntegrityError: the database is damaged, for example because the sequence of positions is behind the events.
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
    events = Event.many_from_db(using, map(_stored_before, answers))
    for row, event in zip(rows, events, strict=True):
        if differences := retries.differences(row, event):
            raise _in_use_with_other_content(event, differences)
    return Appended(events, is_retry=True)


def append_unread(rows: Sequence[ValidatedEvent], using: str) -> AppendOutcome:
    """Write `rows`, at least one, as `append` does without expectations, but return the outcome alone.

    The outcome STORED does not say that the stored events have the content of `rows`.
    """
    ((outcome,),) = _call(_APPEND_UNREAD, _arrays(rows, {}), using)
    return AppendOutcome(outcome)


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


def _stored_before(answer: _Answer) -> dict[str, Any]:
    return {
        "position": answer.position,
        "aggregate_id": answer.aggregate_id,
        "version": answer.version,
        "event_id": answer.event_id,
        "type": answer.type,
        "data": _loaded(answer.data),
        "metadata": _loaded(answer.metadata),
        "timestamp": answer.timestamp,
        "recorded_at": answer.recorded_at,
    }


def _loaded(text: str) -> Any:
    try:
        return loads(text)
    except ValueError:  # an event of an older version, which Python cannot represent and so cannot repeat
        return None


def _call(call: Call, arguments: list[bytes | None], using: str) -> list[tuple[Any, ...]]:
    connection = connections[using]
    try:
        answers = call.rows(connection, arguments)
        if answers is not None:
            return answers
        autocommit.require(using)
        with connection.cursor() as cursor:
            cursor.execute(call.by_cursor, [None if each is None else each.decode() for each in arguments])
            return list(cursor.fetchall())
    except ProgrammingError as error:
        raise server_errors.explained(error, using) from error.__cause__
    except IntegrityError as error:
        if connection.in_atomic_block:  # PostgreSQL has aborted the transaction
            transaction.set_rollback(True, using)
        raise _meaning(error, using) from error


def _values(row: ValidatedEvent, version: int | None) -> list[bytes | None]:
    """Return the arguments of `events_append_one`."""
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
    """Return the arguments of `events_append` in PostgreSQL's text format of arrays.

    See https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO. psycopg would examine each value of a list to
    find its type; here the types are known.
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
    # NUL occurs in no text, so it can separate the values, and one call of `replace` escapes all of them.
    text = b"\0".join(values).replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return b'{"' + text.replace(b"\0", b'","') + b'"}' if values else b"{}"


def _plain(values: Sequence[bytes]) -> bytes:
    return b"{" + b",".join(values) + b"}"


_KEY = re.compile(r"\(event_id\)=\(([0-9a-f-]{36})\)")


def _meaning(error: IntegrityError, using: str) -> Exception:
    """Return the error that a violated constraint stands for."""
    cause: Any = error.__cause__
    if cause.sqlstate == "23514":
        return InvalidEvent("data", str(cause.diag.message_primary))
    # The locks on aggregates serialize calls that share an aggregate. But two calls can store one event id in two
    # aggregates at the same time.
    key = _KEY.search(cause.diag.message_detail or "")
    if cause.sqlstate == "23505" and key:
        return _duplicate_by_race(UUID(key[1]), using)
    if cause.sqlstate == "23505" and cause.diag.table_name == "events_event":
        return IntegrityError(
            f"{cause.diag.message_primary}. {cause.diag.message_detail} The numbers that the database gives out are"
            " in use already, for example after a logical replication or a restore. Nothing was stored. Run"
            " `manage.py events_doctor`: it names the remedy"
        )
    return error


def _duplicate_by_race(event_id: UUID, using: str) -> DuplicateEvent:
    stored = []
    if not connections[using].in_atomic_block:
        query = "SELECT aggregate_id, version FROM events_event WHERE event_id = %s"
        stored = fetch_tuples(using, query, [event_id])
    if stored:
        return _in_use(event_id, *stored[0])
    return DuplicateEvent(event_id, None, f"another aggregate has just stored an event with the id {event_id}")


def _duplicate(answer: _Answer) -> DuplicateEvent:
    return _in_use(answer.event_id, answer.aggregate_id, answer.version)


def _in_use_with_other_content(event: Event, differences: Sequence[str]) -> DuplicateEvent:
    by = f", by an event {retries.in_words(differences)}"
    return _in_use(event.event_id, event.aggregate_id, event.version, by, differences)


def _in_use(
    event_id: UUID, aggregate_id: str, version: int, by: str = "", differences: Sequence[str] = ()
) -> DuplicateEvent:
    return DuplicateEvent(
        event_id,
        aggregate_id,
        f"the event id {event_id} is already in use, in aggregate {aggregate_id!r} at version {version}{by}; to retry,"
        " repeat the same call; for a new event, use a new id",
        differences,
    )
