"""Rebuilding a projection's rows from the events while the old ones are served; anybody can go on with it."""

import logging

from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from events import reader
from events.models import Event

from . import failures, runner, shadow
from .base import Mode, Projection
from .models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status
from .outages import is_outage
from .registration import create_checkpoints, database, lock

logger = logging.getLogger(__name__)

# How long the switch of an INLINE projection lets appends wait behind it for transactions that still use the old rows.
SWITCH_LOCK_TIMEOUT_MS = 500
# With more events than this to go, filling goes on before a switch is tried.
NEAR_EVENTS = 500


def prepare(projection: Projection) -> list[Checkpoint]:
    """Make everything ready for a rebuild that is asked for; return its checkpoints.

    What an earlier process has begun is gone on with. It is begun anew if it was for other code, or if the tables have
    been changed since.
    """
    using = database()
    with transaction.atomic(using):
        asked = Rebuild.objects.using(using).filter(pk=projection.name, version__lte=projection.version, error="")
        if (rebuild := asked.first()) is None:
            return []
        if rebuild.in_place:
            _shut_writers_out(projection, using)
        state = lock(projection.name)
        if (rebuild := asked.first()) is None:  # others have done it, while we waited
            return []
        checkpoints = state.checkpoints.using(using).of_rebuild()
        ready = list(checkpoints)
        fits = rebuild.in_place or shadow.fits(projection)
        if ready and fits and {each.version for each in ready} == {projection.version}:
            return ready
        checkpoints.delete()
        ParkedEvent.objects.using(using).filter(projection=state, build=Build.REBUILD).delete()
        if rebuild.in_place:
            _clear_the_place(projection, state, using)
        else:
            shadow.create(projection)
        rebuild.version, rebuild.error = projection.version, ""
        rebuild.save(using=using)
        logger.info("projection=%s rebuild=begun version=%s", projection, projection.version)
        return create_checkpoints(projection, state, state.start_position, build=Build.REBUILD)


def _clear_the_place(projection: Projection, state: ProjectionState, using: str) -> None:
    """Remove the rows that are served. Nobody works on them now, nor until the rebuild is done."""
    if Mode.INLINE in (projection.mode, state.mode):
        state.status = Status.BUILDING
        state.save(update_fields=["status"], using=using)
    state.checkpoints.using(using).live().delete()
    ParkedEvent.objects.using(using).filter(projection=state).delete()
    shadow.empty(projection)


def is_near(projection: Projection, settled: int) -> bool:
    """Say whether so little is left to do that the switch can be tried."""
    using = database()
    rebuilt = Checkpoint.objects.using(using).of_rebuild().filter(projection=projection.name)
    lowest = min(rebuilt.values_list("position", flat=True), default=settled)
    return _left(lowest, settled, using) <= NEAR_EVENTS


def switch(projection: Projection) -> bool:
    """Do what is left, and put the rebuilt rows in place of the old ones: in one transaction. False: try again later.

    Who reads sees the old rows until it commits, and the new ones from then on.
    """
    using = database()
    session = connections[using].connection
    try:
        with transaction.atomic(using, durable=True):
            return _switch(projection, using)
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
        if not is_passing(error):
            stop(projection, f"the switch: {failures.summary(error)}")
    return False


def stop(projection: Projection, reason: str) -> None:
    """Let a rebuild rest, until an operator asks for it again or cancels it."""
    Rebuild.objects.using(database()).filter(pk=projection.name).update(error=reason)
    logger.error("projection=%s rebuild=stopped error=%r", projection, reason)


def is_passing(error: Exception) -> bool:
    """Say whether `error` is a lock that could not be had in time, or a deadlock: to be tried again later."""
    passing = getattr(error.__cause__, "sqlstate", None) in ("55P03", "40P01")
    if passing:
        logger.info("rebuild=waiting for a transaction that uses the old rows")
    return passing


class _CatchUpFailed(Exception):
    """What is left to do before the switch could not be done."""


def _switch(projection: Projection, using: str) -> bool:
    if (
        projection.mode is Mode.INLINE
        or ProjectionState.objects.using(using).get(pk=projection.name).mode == Mode.INLINE
    ):
        _shut_writers_out(projection, using)
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
        shadow.move_rows(projection)
        shadow.drop(projection.name)
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


def _shut_writers_out(projection: Projection, using: str) -> None:
    """Wait until no transaction is left that works on the old rows INLINE, and let no other begin until the switch.

    Writers that come now wait behind us, so give up soon when an old transaction stays open.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {SWITCH_LOCK_TIMEOUT_MS}")
        cursor.execute(
            "SELECT pg_advisory_xact_lock('projections_projectionstate'::regclass::oid::int, hashtext(%s))",
            [projection.name],
        )
        cursor.execute("SET LOCAL lock_timeout = 0")


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
        up_to = max([reader.settled_position(using), *(each.position for each in live)])
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
