"""Register a projection in the database, once: where it begins, and whether it has to handle earlier events first."""

import logging
from typing import Final

from django.db import ProgrammingError, connections, transaction

from events.routing import database
from events.storage import ordering, reader
from projections import registry
from projections.base import Mode, Projection, Start
from projections.exceptions import ProjectionError
from projections.models import Build, Checkpoint, ProjectionState, Rebuild, Status

from . import missed
from .target_tables import has_rows

logger = logging.getLogger(__name__)

UNDECIDED: Final = (
    "its tables already held rows when it was registered, perhaps of an earlier registration, so handling all events"
    " would count them twice; rebuild it (rebuild_projection), or keep the rows and start now (keep_rows)"
)


def ensure_registered(projection: Projection, *, before: int | None = None) -> ProjectionState:
    """Return the state of `projection`, and register it if the database does not know it yet.

    If it starts at the first event, and its tables hold rows already, it does not start: the events of these rows would
    count twice. An operator rebuilds it or keeps the rows.

    An ASYNC projection begins at its checkpoint. An INLINE projection is live at once if the store has no event for it.
    Otherwise a rebuild is requested, because rows made from a part of the events would be wrong. If two processes
    register at the same time, the second waits at the unique key of the row, and then reads what the first has saved.

    Args:
        before: the position of the event that a writer is about to pass to the projection. Only earlier events count.

    Raises:
        ProjectionError: this database role may not register projections.
    """
    using = database()
    states = ProjectionState.objects.using(using)
    if state := states.filter(name=projection.name).first():
        return state
    try:
        return _register(projection, before, using)
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) != "42501":  # insufficient_privilege
            raise
        raise ProjectionError(
            f"Projection {projection.name!r} is not registered yet, and this database role may not register it. Run"
            " manage.py migrate, or a worker"
        ) from error


def _register(projection: Projection, before: int | None, using: str) -> ProjectionState:
    states = ProjectionState.objects.using(using)
    with transaction.atomic(using):
        start = ordering.settled_position(using) if projection.start is Start.NOW else 0
        state, is_new = states.get_or_create(
            name=projection.name,
            defaults={
                "kind": projection.kind,
                "mode": projection.mode,
                "version": projection.version,
                "start_position": start,
            },
        )
        if not is_new:
            return state
        state.save(update_fields=missed.begin_counting(projection, state, start), using=using)
        if projection.start is Start.FIRST_EVENT and has_rows(projection):
            state.status, state.status_reason = Status.UNDECIDED, UNDECIDED
            state.save(update_fields=["status", "status_reason"], using=using)
            logger.warning("projection=%s does not start: %s", projection, UNDECIDED)
        elif projection.mode is Mode.ASYNC:
            create_checkpoints(projection, state, start)
        elif _has_history(projection, start, before):
            state.status = Status.BUILDING
            state.save(using=using)
            Rebuild.objects.using(using).create(
                projection=state, version=projection.version, in_place=True, by="registration"
            )
    return state


def register_all() -> None:
    """Register the projections of this process that the database does not know yet."""
    for projection in registry.all_projections():
        ensure_registered(projection)


def lock_state(name: str) -> ProjectionState:
    """Wait for the passes over a projection to end, lock it until the transaction ends, and return its state.

    All code, passes included, locks the checkpoints first and the state second. The lock is `no_key`, so that passes
    can park events, which refer to the state by a foreign key.
    """
    using = database()
    Checkpoint.objects.using(using).filter(projection=name).lock()
    return ProjectionState.objects.using(using).select_for_update(no_key=True).get(pk=name)


def create_checkpoints(
    projection: Projection, state: ProjectionState, position: int, *, build: Build = Build.LIVE
) -> list[Checkpoint]:
    """Create the checkpoint of each shard."""
    shared = {"build": build, "version": projection.version, "shards": projection.shards, "position": position}
    return Checkpoint.objects.using(database()).bulk_create(
        Checkpoint(projection=state, shard=shard, **shared) for shard in range(projection.shards)
    )


def is_migrated() -> bool:
    """Return whether the tables of this app exist."""
    return ProjectionState._meta.db_table in connections[database()].introspection.table_names()


def _has_history(projection: Projection, start: int, before: int | None) -> bool:
    events = reader.selection(projection.wanted_types(), None, database()).after(start)
    return (events if before is None else events.up_to(before - 1)).exists()
