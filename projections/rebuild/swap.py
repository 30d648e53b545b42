"""Ending a rebuild: the last events, and the rebuilt rows in place of the old ones, in one transaction."""

import logging
from typing import Final

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from events.models import Event
from events.routing import database
from events.storage import ordering, reader
from projections.base import Mode, Projection
from projections.engine import failures, runner
from projections.engine.outages import is_outage
from projections.engine.registration import lock
from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status

from . import shadow_tables
from .locking import is_transient, lock_out_writers
from .preparation import stop

logger = logging.getLogger(__name__)

# With more events than this to go, filling goes on before a swap is tried.
NEAR_EVENTS: Final = 500


def is_near(projection: Projection, settled: int) -> bool:
    """Say whether so little is left to do that the switch can be tried."""
    using = database()
    rebuilt = Checkpoint.objects.using(using).of_rebuild().filter(projection=projection.name)
    lowest = min(rebuilt.values_list("position", flat=True), default=settled)
    return _left(lowest, settled, using) <= NEAR_EVENTS


def swap(projection: Projection) -> bool:
    """Do what is left, and put the rebuilt rows in place of the old ones: in one transaction. False: try again later.

    Who reads sees the old rows until it commits, and the new ones from then on.
    """
    using = database()
    session = connections[using].connection
    try:
        with transaction.atomic(using, durable=True):
            return _swap(projection, using)
    except _CatchUpFailed as error:
        # The next pass over the shard meets the same event, and retries it or parks it as it should be.
        logger.warning("projection=%s rebuild=not switched error=%r", projection, str(error))
    except IntegrityError as error:
        hint = (
            "Rows that other tables refer to need a key that follows from the events; one that the database generates"
            " is another after a rebuild"
        )
        stop(projection, f"the switch: {failures.summary(error)}. {hint}")
    except Exception as error:
        if is_outage(error, using, session):
            raise
        if not is_transient(error):
            stop(projection, f"the switch: {failures.summary(error)}")
    return False


class _CatchUpFailed(Exception):
    """What is left to do before the switch could not be done."""


def _swap(projection: Projection, using: str) -> bool:
    if (
        projection.mode is Mode.INLINE
        or ProjectionState.objects.using(using).get(pk=projection.name).mode == Mode.INLINE
    ):
        lock_out_writers(projection, using)
    # From here on no worker is at work on the old rows, nor on the new ones.
    state = lock(projection.name)
    live = list(state.checkpoints.using(using).live())
    rebuilt = list(state.checkpoints.using(using).of_rebuild())
    rebuild = Rebuild.objects.using(using).filter(pk=projection.name, version=projection.version, error="").first()
    if rebuild is None or not rebuilt:
        return False
    try:
        up_to = _catch_up(projection, rebuilt, live, using)
        connections[using].check_constraints()  # so that what is wrong with the new rows shows here
    except Exception as error:
        if is_outage(error, using):
            raise
        raise _CatchUpFailed(str(error)) from error
    if up_to is None:
        return False
    if not rebuild.in_place:
        shadow_tables.move_rows(projection)
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
    if state.status != Status.PAUSED or projection.mode is Mode.INLINE:
        state.status, state.status_reason, state.status_since = Status.RUNNING, "", timezone.now()
    state.save(update_fields=["mode", "version", "status", "status_reason", "status_since"], using=using)
    rebuild.delete(using=using)
    logger.info("projection=%s rebuild=done version=%s position=%s", projection, projection.version, up_to)
    return True


def _catch_up(projection: Projection, rebuilt: list[Checkpoint], live: list[Checkpoint], using: str) -> int | None:
    """Handle what is left, inside the transaction of the switch; return the position then reached. None: too much.

    ASYNC: up to the settled position, or to where the old rows are, so that nobody sees a row go back in time.

    INLINE: everything that is stored, whether settled or not. With writers shut out, an event of a type that the
    projection handles is either visible by now, because its transaction has ended, and no settled position matters;
    or its writer has not handed it over yet, and will write it to the new rows itself, once we are through.
    """
    if projection.mode is Mode.INLINE:
        up_to = Event.objects.using(using).order_by("-position").values_list("position", flat=True).first() or 0
    else:
        up_to = max([ordering.settled_position(using), *(each.position for each in live)])
    if _left(min(each.position for each in rebuilt), up_to, using) > 2 * NEAR_EVENTS:
        return None
    for checkpoint in rebuilt:
        if checkpoint.attempts:
            return None
        while checkpoint.position < up_to:
            events, position = runner.next_batch(projection, checkpoint, up_to)
            runner.handle(projection, checkpoint, events)
            checkpoint.position = position
        checkpoint.save(update_fields=["position"], using=using)
    return up_to


def _left(after: int, up_to: int, using: str) -> int:
    return reader.selection(None, None, using).after(after).up_to(up_to)[: 2 * NEAR_EVENTS + 1].count()
