"""Snapshots: states of aggregates stored beside their events, so that a load applies only the events after them.

A snapshot is a fold of stored events only, by code of the same fingerprint. It is used only while the event that it
ends with is in the history. Whatever is wrong with a snapshot, the state is computed from the events.
"""

import logging
import time
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID

from django.db import ProgrammingError, connections, transaction

from events.exceptions import InvalidEvent
from events.storage import server_errors
from events.storage.prepared_statements import Call
from events.summaries import message
from events.types import MAX_BIGINT

from .aggregates import Aggregate
from .fingerprints import fingerprint
from .states import NotExact, codec_of_states

A = TypeVar("A", bound=Aggregate)

logger = logging.getLogger(__name__)

# So long a process waits after a state of a class had no exact form in JSON: each command would find it again.
_PAUSE_SECONDS = 60

_FIND = Call(
    "events_domain_snapshot",
    """
    SELECT s.version, s.state
    FROM events_domain_snapshot AS s JOIN events_event AS e USING (aggregate_id, version, event_id)
    WHERE s.aggregate_id = {}::text AND s.fingerprint = {}::text AND s.version <= {}::bigint
    """,
    places=3,
)
# Of two processes at once, the one that has seen more events wins. A snapshot whose event is not in the history was
# restored, or copied, without its events.
_KEEP = """
    INSERT INTO events_domain_snapshot AS s (aggregate_id, fingerprint, version, event_id, state, taken_at)
    VALUES (%s, %s, %s, %s, %s, statement_timestamp())
    ON CONFLICT (aggregate_id, fingerprint) DO UPDATE
    SET version = excluded.version, event_id = excluded.event_id, state = excluded.state, taken_at = excluded.taken_at
    WHERE excluded.version >= s.version OR NOT EXISTS (
        SELECT FROM events_event AS e
        WHERE (e.aggregate_id, e.version, e.event_id) = (s.aggregate_id, s.version, s.event_id)
    )
"""


class Taken(NamedTuple):
    """A snapshot that is not stored yet."""

    aggregate_id: str
    fingerprint: str
    version: int
    event_id: UUID
    state: str


class Snapshots(Generic[A]):
    """The snapshots of the aggregates of one class, as this process computes and reads them; see `snapshots_of`."""

    def __init__(self, aggregate_class: type[A]) -> None:
        self._codec = codec_of_states(aggregate_class)
        self.fingerprint = fingerprint(aggregate_class)
        self._paused_until = 0.0

    def find(self, aggregate_id: str, up_to_version: int | None, using: str) -> A | None:
        """Return an aggregate with the state of its snapshot; None if there is none that this code can use."""
        up_to = MAX_BIGINT if up_to_version is None else up_to_version
        try:
            rows = _FIND.fetch(using, [aggregate_id.encode(), self.fingerprint.encode(), b"%d" % up_to])
        except ProgrammingError as error:
            raise server_errors.explained(error, using) from error.__cause__
        if not rows:
            return None
        ((version, state),) = rows
        try:
            return self.restored(aggregate_id, version, state)
        except Exception as error:
            logger.warning(
                "The snapshot of %s at version %d cannot be read; all its events are applied instead: %s",
                aggregate_id,
                version,
                message(error),
            )
            return None

    def restored(self, aggregate_id: str, version: int, state: str) -> A:
        """Return an aggregate with a stored state. Any exception means that the state cannot be read."""
        aggregate = self._codec.to_aggregate(aggregate_id, state)
        aggregate._work.version = version
        return aggregate

    def take(self, aggregate: A, event_id: UUID) -> Taken | None:
        """Return the snapshot of an aggregate on which no command has run; None if its state has no exact form in JSON.

        Args:
            event_id: the id of its last event.
        """
        if time.monotonic() < self._paused_until:
            return None
        try:
            state = self._codec.to_text(aggregate)
        except NotExact as error:
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            logger.warning("No snapshot of %s is taken: %s", aggregate.aggregate_id, error)
            return None
        return Taken(aggregate.aggregate_id, self.fingerprint, aggregate.version, event_id, state)


_snapshots: dict[type[Aggregate], Snapshots[Any]] = {}


def snapshots_of(aggregate_class: type[A]) -> Snapshots[A]:
    """Return the snapshots of a class. The first call computes the fingerprint, so all code must be imported by then.

    Raises:
        InvalidEvent: a field of the state may have a value that has no form in JSON.
    """
    if aggregate_class not in _snapshots:
        try:
            _snapshots[aggregate_class] = Snapshots(aggregate_class)
        except NameError as error:
            reason = f"{aggregate_class.__qualname__}: the type of a field is not defined: {error}"
            raise InvalidEvent("snapshot_every", reason) from error
    return _snapshots[aggregate_class]


def keep(taken: Taken, using: str) -> None:
    """Store a snapshot once the open transaction has committed; an error is only logged.

    It is no part of the transaction: it would hold a lock until the end, and its events might be rolled back.
    """
    connection = connections[using]
    if connection.in_atomic_block or connection.get_autocommit():
        transaction.on_commit(partial(_store, taken, using), using)


def _store(taken: Taken, using: str) -> None:
    try:
        # A test may call this in a transaction of its own, which an error would end.
        with transaction.atomic(using), connections[using].cursor() as cursor:
            cursor.execute(_KEEP, taken)
    except Exception as error:
        logger.warning(
            "The snapshot of %s at version %d was not stored: %s", taken.aggregate_id, taken.version, message(error)
        )
