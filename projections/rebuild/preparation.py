"""Begin a rebuild: create its checkpoints, and empty tables to fill. Any process can continue it."""

import logging

from django.db import transaction

from events.routing import database
from projections.base import Mode, Projection
from projections.engine.registration import create_checkpoints, lock_state
from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status

from . import shadow_tables
from .locking import lock_out_writers

logger = logging.getLogger(__name__)


def prepare(projection: Projection) -> list[Checkpoint]:
    """Lock the projection, begin its requested rebuild or continue it, and return the checkpoints of the rebuild.

    A rebuild begins again if it was begun for another version of the code, or if the tables have changed since.
    """
    using = database()
    with transaction.atomic(using):
        requested = Rebuild.objects.using(using).select_related("projection")
        asked = requested.filter(pk=projection.name, version__lte=projection.version, error="")
        if (rebuild := asked.first()) is None:
            return []
        if rebuild.in_place and Mode.INLINE in (projection.mode, rebuild.projection.mode):
            lock_out_writers(using)
        state = lock_state(projection.name)
        if (rebuild := asked.first()) is None:  # another process has finished it during the wait
            return []
        checkpoints = state.checkpoints.using(using).of_rebuild()
        ready = list(checkpoints)
        fits = rebuild.in_place or shadow_tables.fits(projection)
        if ready and fits and {each.version for each in ready} == {projection.version}:
            return ready
        checkpoints.delete()
        ParkedEvent.objects.using(using).filter(projection=state, build=Build.REBUILD).delete()
        if rebuild.in_place:
            _delete_served_rows(projection, state, using)
        else:
            shadow_tables.create(projection)
        rebuild.version, rebuild.error, rebuild.retries_up_to = projection.version, "", None
        rebuild.save(using=using)
        logger.info("projection=%s rebuild=begun version=%s", projection, projection.version)
        return create_checkpoints(projection, state, state.start_position, build=Build.REBUILD)


def _delete_served_rows(projection: Projection, state: ProjectionState, using: str) -> None:
    """Delete the rows that are served, with their checkpoints and parked events. The state is locked."""
    if Mode.INLINE in (projection.mode, state.mode) or state.status == Status.UNDECIDED:
        state.status = Status.BUILDING
        state.save(update_fields=["status"], using=using)
    state.checkpoints.using(using).live().delete()
    ParkedEvent.objects.using(using).filter(projection=state).delete()
    shadow_tables.empty(projection)


def stop_rebuild(projection: Projection, reason: str) -> None:
    """Stop a rebuild and save why, until an operator requests it again or cancels it."""
    Rebuild.objects.using(database()).filter(pk=projection.name).update(error=reason)
    logger.error("projection=%s rebuild=stopped error=%r", projection, reason)
