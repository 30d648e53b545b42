"""Fire timers: store the events that are due, each once, and delete their timers in the same transaction.

A timer fires when its reaction has handled every event that was stored before the timer was due. So an event that
cancels it in time does so even if the workers were down for days.
"""

import logging
import time
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db import Error, connections, transaction
from django.db.models import Min
from django.utils import timezone

from events.conf import conf
from events.jsonb import loads
from events.routing import database
from events.storage import reader
from events.storage.query_files import fetch_tuples, read_query
from events.store import append_and_send
from events.summaries import summary
from events.types import ExportedEvent
from events.validation import validate_events
from projections.base import Projection
from projections.engine import failures
from projections.engine.outages import is_outage
from projections.models import Build, Checkpoint, ProjectionState, Status, Timer

logger = logging.getLogger(__name__)

BATCH_TIMERS: Final = 500
# How long timers fire one by one before the worker handles events again.
ONE_BY_ONE_SECONDS: Final = 0.2

# The reactions of this process whose firing an outage has ended, and how often each timer was the one that fired. The
# next firings are one by one, so that it is known if the outage belongs to a timer: a handler may close the connection.
_outages: dict[str, Counter[int]] = {}


class DueTimer(NamedTuple):
    """A timer that is deleted, and whose event is stored next; its values are those of the model `Timer`."""

    pk: int
    key: str
    due_at: datetime
    event_id: UUID
    aggregate_id: str
    type: str
    data: dict[str, Any]
    metadata: dict[str, Any]
    attempts: int

    def event(self) -> ExportedEvent:
        """Return the event, in the schema version that it was scheduled in."""
        return ExportedEvent(
            self.aggregate_id, self.type, self.data, self.due_at, metadata=self.metadata, event_id=self.event_id
        )


def fire_due(reaction: Projection) -> int:
    """Store the events of the first timers that are due, oldest first; return how many timers are done with.

    If an event is rejected, its timer is retried later, and the others fire.

    Raises:
        Exception: an outage.
    """
    using = database()
    session = _session()
    if reaction.name not in _outages:
        try:
            return fire_batch(reaction, timezone.now())
        except Exception as error:
            if is_outage(error, using, session):
                _outages[reaction.name] = Counter()
                raise
    fired = _fire_each(reaction)
    _outages.pop(reaction.name, None)
    return fired


def fire_batch(reaction: Projection, now: datetime) -> int:
    """Store the events of the first timers that are due at a moment, or none; return how many timers have fired.

    Raises:
        Exception: an event is rejected, or an outage. Nothing is stored.
    """
    with transaction.atomic(database(), durable=True):
        if not lock_running(reaction.name):
            return 0
        timers = take_due(reaction.name, clock_of(reaction, now), BATCH_TIMERS)
        store(timers)
    return len(timers)


def _fire_each(reaction: Projection) -> int:
    """Fire the first timers one by one, because the event of at least one of them is rejected."""
    using = database()
    fired, deadline = 0, time.monotonic() + ONE_BY_ONE_SECONDS
    while time.monotonic() < deadline:
        taken: Sequence[DueTimer] = ()
        session = _session()
        try:
            with transaction.atomic(using, durable=True):
                if lock_running(reaction.name):
                    taken = take_due(reaction.name, clock_of(reaction, timezone.now()), 1)
                    store(taken)
        except Exception as error:
            if not taken:
                raise
            if is_outage(error, using, session):
                if not _outage_came_back(reaction, taken[0]):
                    raise
            elif _is_of_lock(error):
                return fired
            count_rejection(reaction, taken[0], error)
        if not taken:
            return fired
        fired += 1
    return fired


def lock_running(reaction: str) -> bool:
    """Lock the state of a reaction until the transaction ends; return False if it is not running, or is locked.

    So one worker fires its timers at a time, oldest first, and a pause or a rewind waits for it.
    """
    states = ProjectionState.objects.using(database()).filter(pk=reaction, status=Status.RUNNING)
    return states.select_for_update(no_key=True, skip_locked=True).exists()


def clock_of(reaction: Projection, now: datetime) -> datetime:
    """Return the time up to which a reaction knows the events: when the first one that it has not handled was stored.

    An event that has stepped aside counts as handled. `now` is the latest time.
    """
    using = database()
    live = Checkpoint.objects.using(using).filter(projection=reaction.name, build=Build.LIVE)
    position = live.aggregate(least=Min("position"))["least"] or 0
    unhandled = reader.selection(reaction.wanted_types(), None, using).after(position).order_by("position")
    stored_at = unhandled.values_list("recorded_at", flat=True).first()
    return now if stored_at is None else min(now, stored_at)


def take_due(reaction: str, clock: datetime, limit: int) -> list[DueTimer]:
    """Delete the first timers that are due, as many as fit into one append, and return them, oldest first.

    `do.cancel` waits for the row lock of such a timer, and then finds no row.
    """
    arguments = {"reaction": reaction, "clock": clock, "limit": limit, "max_bytes": conf.max_dispatch_bytes}
    rows = fetch_tuples(database(), read_query(__package__, "take_due"), arguments)
    return [
        DueTimer(pk, key, due_at, event_id, aggregate_id, event_type, loads(data), loads(metadata), attempts)
        for _, pk, key, due_at, event_id, aggregate_id, event_type, data, metadata, attempts in sorted(rows)
    ]


def store(timers: Sequence[DueTimer]) -> None:
    """Store the events of timers, except those that an earlier handling of their source event has stored."""
    using = database()
    stored = {each.event_id for each in reader.stored_ids([timer.event_id for timer in timers], using)}
    rows = [row for timer in timers if timer.event_id not in stored for row in validate_events([timer.event()])]
    if rows:
        append_and_send(rows, {}, using)


def _outage_came_back(reaction: Projection, timer: DueTimer) -> bool:
    """Return whether an outage has ended the firing of a timer twice, although the database answers."""
    outages = _outages.setdefault(reaction.name, Counter())
    outages[timer.pk] += 1
    if outages[timer.pk] == 1:
        return False
    connections[database()].close_if_unusable_or_obsolete()
    try:
        _session()
    except Error:
        return False
    return True


def _session() -> Any:
    """Return the open connection, for a comparison: Django replaces one that is lost when its transaction ends."""
    connections[database()].ensure_connection()
    return connections[database()].connection


def _is_of_lock(error: Exception) -> bool:
    """Return whether a deadlock, or a time limit for a lock, has ended the transaction: a later attempt may succeed."""
    return getattr(failures.cause_of(error).__cause__, "sqlstate", None) in ("40P01", "55P03")


def count_rejection(reaction: Projection, timer: DueTimer, error: BaseException) -> None:
    """Save that the event of a timer was rejected, and retry it later; after the last attempt, an operator does."""
    cause = failures.cause_of(error)
    attempts = timer.attempts + 1
    delay = failures.retry_delay(reaction, cause, attempts)
    retry_at = None if delay is None else timezone.now() + timedelta(seconds=delay)
    unchanged = Timer.objects.using(database()).filter(pk=timer.pk, event_id=timer.event_id, attempts=timer.attempts)
    unchanged.update(attempts=attempts, next_attempt_at=retry_at, error=summary(cause))
    line = "reaction=%s timer=%s attempts=%s retry_in_seconds=%s error=%r"
    logger.warning(line, reaction, timer.key, attempts, delay, summary(cause))
