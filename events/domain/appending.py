"""The append of what aggregates have recorded, and what a conflict means for the transaction around it."""

from collections.abc import Callable, Sequence
from typing import Any

from django.db import OperationalError, connections, transaction

from events.exceptions import Conflict, UnseenConflict
from events.models import Event
from events.store import EventStore
from events.types import NewEvent

from .aggregates import Aggregate, end_command, mark_stored, take_recorded

_SERIALIZATION_FAILURE = "40001"  # https://www.postgresql.org/docs/current/errcodes-appendix.html


Prepare = Callable[[Sequence[NewEvent]], Sequence[NewEvent]]


def append_recorded(
    aggregates: Sequence[Aggregate], store: EventStore, prepare: Prepare | None = None
) -> Sequence[Event]:
    """Append the recorded events of aggregates, all or none, if no other call has appended to any of them.

    An aggregate without recorded events must be unchanged too, because what others recorded may rest on it. Without
    any recorded event, nothing is checked. The events stay recorded until they are stored.

    Args:
        prepare: returns the recorded events with ids or metadata of its own.

    Returns:
        The stored events, in the order of recording.

    Raises:
        VersionConflict: an aggregate has changed; UnseenConflict if the transaction is over.
        InvalidEvent: an event is not valid.
    """
    recorded = take_recorded(aggregates)
    if recorded and prepare:
        recorded = list(prepare(recorded))
    stored = _append(recorded, aggregates, store) if recorded else []
    for each in aggregates:
        end_command(each)
    return stored


def _append(recorded: Sequence[NewEvent], aggregates: Sequence[Aggregate], store: EventStore) -> Sequence[Event]:
    expected = {each.aggregate_id: each.version for each in aggregates}
    try:
        stored = store.dispatch(*recorded, expected_version=expected)
    except OperationalError as error:
        cause: Any = error.__cause__
        if getattr(cause, "sqlstate", None) != _SERIALIZATION_FAILURE:
            raise
        # Only a transaction with an older snapshot, such as REPEATABLE READ, ends so. PostgreSQL has aborted it.
        if connections[store.using].in_atomic_block:
            transaction.set_rollback(True, store.using)
        conflicts = [Conflict(aggregate_id, version, version) for aggregate_id, version in expected.items()]
        raise UnseenConflict(conflicts) from error
    for each in aggregates:
        mark_stored(each)
    return stored


def sees_other_commits(using: str) -> bool:
    """Return whether the next statement sees what other transactions have committed since the last one.

    In READ COMMITTED each statement has a snapshot of its own. In a transaction of another isolation level, the same
    state would come back.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        return True
    if connection.needs_rollback:
        return False
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_isolation")
        return bool(cursor.fetchone()[0] == "read committed")
