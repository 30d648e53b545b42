"""End a rebuild: handle the last events and swap the rebuilt rows in, in one transaction."""

import logging
from typing import Final, NamedTuple

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from events.exceptions import NewerEvent
from events.models import Event
from events.routing import database
from events.storage import ordering, reader
from events.summaries import summary
from projections.base import Mode, Projection
from projections.engine import failures, missed, runner, target_tables
from projections.engine.outages import is_outage
from projections.engine.registration import lock_state
from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status

from . import row_moving, shadow_tables
from .locking import is_transient, lock_out_writers
from .preparation import stop_rebuild

logger = logging.getLogger(__name__)

FOREIGN_KEY_VIOLATION: Final = "23503"

# A swap is tried when at most this many events are left.
NEAR_EVENTS: Final = 500


def is_near(projection: Projection, settled: int) -> bool:
    """Return whether so few events are left that a swap can be tried."""
    using = database()
    rebuilt = Checkpoint.objects.using(using).of_rebuild().filter(projection=projection.name)
    lowest = min(rebuilt.values_list("position", flat=True), default=settled)
    return _count_remaining(lowest, settled, using) <= NEAR_EVENTS


def swap(projection: Projection) -> bool:
    """Handle the last events, swap the rebuilt rows in, and commit; return False if it has to be tried again later.

    Readers see the old rows until the commit, and the new rows after it.
    """
    using = database()
    session = connections[using].connection
    try:
        with transaction.atomic(using, durable=True):
            return _swap(projection, using)
    except NewerEvent:
        pass  # the next pass over the shard shows that it waits for newer code
    except _CatchUpFailed as error:
        # The next pass over the shard fails at the same event, and retries or parks it.
        logger.warning("projection=%s rebuild=not swapped error=%r", projection, str(error))
    except IntegrityError as error:
        stop_rebuild(projection, f"the swap: {summary(error)}. {_hint(projection, error)}")
    except Exception as error:
        if is_outage(error, using, session):
            raise
        if not is_transient(error):
            stop_rebuild(projection, f"the swap: {summary(error)}")
    return False


def _hint(projection: Projection, error: IntegrityError) -> str:
    violated = getattr(error.__cause__, "diag", None)
    if violated is None or violated.sqlstate != FOREIGN_KEY_VIOLATION:
        return "Correct the rows that are in the way, or the constraint, and resume the projection"
    if violated.table_name in target_tables.tables(projection):
        return (
            "The row that a rebuilt row refers to was there when its event was handled, and has been deleted since."
            " Cancel the rebuild and request it again"
        )
    return (
        "If other tables refer to rows, their key must be derived from the events: a key that the database generates"
        " changes with each rebuild"
    )


class _CatchUpFailed(Exception):
    """The last events before the swap could not be handled."""


def _swap(projection: Projection, using: str) -> bool:
    if Mode.INLINE in (projection.mode, ProjectionState.objects.using(using).get(pk=projection.name).mode):
        lock_out_writers(using)
    state = lock_state(projection.name)
    live = list(state.checkpoints.using(using).live())
    rebuilt = list(state.checkpoints.using(using).of_rebuild())
    rebuild = Rebuild.objects.using(using).filter(pk=projection.name, version=projection.version, error="").first()
    if rebuild is None or not rebuilt:
        return False
    if _waits_for_retries(rebuild, rebuilt, using):
        return False
    try:
        caught_up = _catch_up(projection, rebuilt, live, using)
        connections[using].check_constraints()  # here, so that errors in the new rows are retried as failed passes
    except BaseException as error:
        if isinstance(error, NewerEvent) or is_outage(error, using) or not failures.is_of_handler(error):
            raise
        raise _CatchUpFailed(summary(error.__cause__ or error)) from error
    if caught_up is None:
        return False
    if not rebuild.in_place:
        row_moving.move_rows(projection)
        shadow_tables.drop(projection.name)
    parked = ParkedEvent.objects.using(using).filter(projection=state)
    parked.filter(build=Build.LIVE).delete()
    parked.update(build=Build.LIVE)
    state.checkpoints.using(using).live().delete()
    if projection.mode is Mode.ASYNC:
        state.checkpoints.using(using).of_rebuild().update(build=Build.LIVE)
    else:
        state.checkpoints.using(using).of_rebuild().delete()
    state.mode, state.version = projection.mode, projection.version
    counting = missed.begin_counting(projection, state, caught_up.checked, caught_up.handled)
    if state.status != Status.PAUSED or projection.mode is Mode.INLINE:
        state.status, state.status_reason, state.status_since = Status.RUNNING, "", timezone.now()
    fields = ["mode", "version", "status", "status_reason", "status_since", *counting]
    state.save(update_fields=fields, using=using)
    rebuild.delete(using=using)
    logger.info("projection=%s rebuild=done version=%s position=%s", projection, projection.version, caught_up.position)
    return True


def _waits_for_retries(rebuild: Rebuild, rebuilt: list[Checkpoint], using: str) -> bool:
    """Return whether an event is still retried that had stepped aside when the rebuild caught up for the first time.

    The rows without it would be older than the served ones. Events that step aside later do not delay the swap, because
    it might never come; they are retried on the served tables.
    """
    retried = ParkedEvent.objects.using(using).filter(projection=rebuild.pk, build=Build.REBUILD).retried()
    if not retried.exists():
        return False
    if rebuild.retries_up_to is None:
        rebuild.retries_up_to = max(each.position for each in rebuilt)
        rebuild.save(update_fields=["retries_up_to"], using=using)
    return retried.filter(position__lte=rebuild.retries_up_to).exists()


class _CaughtUp(NamedTuple):
    """What the rebuilt rows contain: all events up to `checked`, which is final, and `handled` ones behind it."""

    position: int
    checked: int
    handled: int


def _catch_up(
    projection: Projection, rebuilt: list[Checkpoint], live: list[Checkpoint], using: str
) -> _CaughtUp | None:
    """Handle the last events inside the transaction of the swap; return what was reached, or None if too many are left.

    ASYNC: handle the events up to the settled position, or up to the position of the old rows if it is higher, so that
    no row goes back in time.

    INLINE: handle all stored events, settled or not. Writers are locked out, so there are two cases. Either the
    transaction of an event has ended, and the event is visible. Or its writer has not passed it to the projection yet,
    and will write it to the new rows after the swap.
    """
    # No event can appear up to here any more. A later one that is not among those handled here is missed, or will be
    # counted by its writer, even if its position is lower than `up_to`.
    checked = max([ordering.settled_position(using), *(each.position for each in rebuilt)])
    handled = 0
    if projection.mode is Mode.INLINE:
        up_to = Event.objects.using(using).order_by("-position").values_list("position", flat=True).first() or 0
    else:
        up_to = max([ordering.settled_position(using), *(each.position for each in live)])
    if _count_remaining(min(each.position for each in rebuilt), up_to, using) > 2 * NEAR_EVENTS:
        return None
    for checkpoint in rebuilt:
        if checkpoint.attempts:
            return None
        while checkpoint.position < up_to:
            events, position = runner.next_batch(projection, checkpoint, up_to)
            if away := runner.handle(projection, checkpoint, events):
                raise away  # it has done a part; the next pass over the shard does it again
            handled += sum(event.position > checked for event in events)
            checkpoint.position = position
        checkpoint.save(update_fields=["position"], using=using)
    return _CaughtUp(up_to, checked, handled)


def _count_remaining(after: int, up_to: int, using: str) -> int:
    return reader.selection(None, None, using).after(after).up_to(up_to)[: 2 * NEAR_EVENTS + 1].count()
