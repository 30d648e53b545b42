"""What `do.schedule` and `do.cancel` do: timers are rows that commit with the pass."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from events.context import current_context
from events.exceptions import InvalidEvent
from events.models import Event
from events.routing import database
from events.types import NewEvent
from events.validation import check_moment, check_name, validate_events
from projections.models import Timer

# The key of the metadata that has the key of the timer.
TIMER: Final = "timer"
_NOT_REPLACED: Final = frozenset(("id", "reaction", "key"))
_REPLACED: Final = [field.name for field in Timer._meta.fields if field.name not in _NOT_REPLACED]


class PendingTimers:
    """The timers that a pass has scheduled so far; the end of the pass saves them with one statement."""

    def __init__(self, reaction: str) -> None:
        self._reaction = reaction
        self._scheduled: list[Timer] = []

    def snapshot(self) -> Sequence[Timer]:
        return tuple(self._scheduled)

    def restore(self, snapshot: Sequence[Timer]) -> None:
        self._scheduled = list(snapshot)

    def keep_up_to(self, position: int) -> None:
        """Forget the timers of the events after a position."""
        self._scheduled = [timer for timer in self._scheduled if timer.source_position <= position]

    def add(self, timer: Timer) -> None:
        self._scheduled.append(timer)

    def cancel(self, key: str) -> bool:
        """Remove the timer of this pass, and the saved one; return whether there was one.

        If it fires at this moment, the deletion waits for the end of that transaction, and then finds no row.
        """
        left = [timer for timer in self._scheduled if timer.key != key]
        was_pending = len(left) < len(self._scheduled)
        self._scheduled = left
        deleted, _ = Timer.objects.using(database()).of(self._reaction).filter(key=key).delete()
        return was_pending or deleted > 0

    def save(self) -> None:
        """Save the timers; each replaces an earlier one with its key."""
        # In the order of their keys, so that two passes that save the same ones do not block each other.
        last = {timer.key: timer for timer in self._scheduled}
        timers = [last[key] for key in sorted(last)]
        self._scheduled = []
        if timers:
            Timer.objects.using(database()).bulk_create(
                timers, update_conflicts=True, unique_fields=["reaction", "key"], update_fields=_REPLACED
            )


def timer_for(
    reaction: str,
    key: str,
    source: Event,
    event: NewEvent,
    *,
    after: timedelta | None,
    at: datetime | None,
) -> Timer:
    """Return the timer that stores `event`, which has the id and the metadata of an action, because of `source`.

    Raises:
        InvalidEvent: an argument or the event is not valid.
    """
    due_at = _due_at(source, after, at)
    if event.timestamp is not None:
        raise InvalidEvent("timestamp", "is given; leave it out: the event gets the time at which its timer is due")
    (row,) = validate_events([replace(event, metadata={TIMER: key, **event.metadata})], current_context())
    return Timer(
        reaction=reaction,
        key=key,
        due_at=due_at,
        source_position=source.position,
        event_id=row.event_id,
        aggregate_id=row.aggregate_id,
        type=row.type,
        data=row.data,
        metadata=row.metadata,
        next_attempt_at=due_at,
    )


def check_key(key: Any) -> None:
    """Check the key of a timer.

    Raises:
        InvalidEvent: it is not a string of 1 to 255 characters without control characters.
    """
    check_name("key", key)


def _due_at(source: Event, after: Any, at: Any) -> datetime:
    if (after is None) == (at is None):
        given = "neither is given" if after is None else "both are given"
        raise InvalidEvent("after", f"or `at` says when the timer is due, and {given}; give one of them")
    if isinstance(at, datetime):
        check_moment("at", at)
        return at
    if at is not None:
        raise InvalidEvent("at", f"is {at!r}; give a timezone-aware datetime")
    if not isinstance(after, timedelta):
        raise InvalidEvent("after", f"is {after!r}; give a timedelta, such as timedelta(hours=24)")
    if after <= timedelta(0):
        raise InvalidEvent("after", f"is {after}; give more than 0, or store the event at once with do.dispatch")
    try:
        due_at = source.timestamp + after
    except OverflowError:
        raise InvalidEvent("after", f"is {after}; the timer would be due after the last year") from None
    check_moment("after", due_at)
    return due_at
