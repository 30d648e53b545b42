"""Making a projection known to the database, once: where it begins, and whether it has history to catch up with."""

from django.db import connections, transaction

from events.routing import database
from events.storage import ordering, reader
from projections import registry
from projections.base import Mode, Projection, Start
from projections.models import Checkpoint, ProjectionState, Rebuild, Status


def ensure(projection: Projection, *, before: int | None = None) -> ProjectionState:
    """Return the state of `projection`, registering it if the database does not know it yet.

    An ASYNC one begins at its checkpoint. An INLINE one is live at once when there is no event it would have handled;
    else a rebuild is asked for, because rows made from half a history would be wrong. Two processes that register at
    the same moment wait for each other at the row's unique key, so that the second sees what the first has decided.

    Args:
        before: the position of the event that a writer is about to hand to it; that one does not count as history.
    """
    using = database()
    states = ProjectionState.objects.using(using)
    if state := states.filter(name=projection.name).first():
        return state
    with transaction.atomic(using):
        start = ordering.settled_position(using) if projection.start is Start.NOW else 0
        state, is_new = states.get_or_create(
            name=projection.name,
            defaults={"mode": projection.mode, "version": projection.version, "start_position": start},
        )
        if is_new and projection.mode is Mode.ASYNC:
            create_checkpoints(projection, state, start)
        elif is_new and _has_history(projection, start, before):
            state.status = Status.BUILDING
            state.save(using=using)
            Rebuild.objects.using(using).create(
                projection=state, version=projection.version, in_place=True, by="registration"
            )
    return state


def ensure_all() -> None:
    """Register every projection of this process that the database does not know yet."""
    for projection in registry.all_projections():
        ensure(projection)


def lock(name: str) -> ProjectionState:
    """Lock a projection until the transaction ends, once no pass over it is under way; return its state.

    Everybody locks in this order, passes included: the checkpoints, then the state. Its key is left out of the lock
    (`no_key`), because an event that is parked refers to it.
    """
    using = database()
    Checkpoint.objects.using(using).filter(projection=name).lock()
    return ProjectionState.objects.using(using).select_for_update(no_key=True).get(pk=name)


def create_checkpoints(
    projection: Projection, state: ProjectionState, position: int, *, build: str = "live"
) -> list[Checkpoint]:
    """Create the checkpoint of each shard."""
    return Checkpoint.objects.using(database()).bulk_create(
        Checkpoint(
            projection=state,
            build=build,
            version=projection.version,
            shard=shard,
            shards=projection.shards,
            position=position,
        )
        for shard in range(projection.shards)
    )


def is_migrated() -> bool:
    """Say whether this app's tables are there."""
    return ProjectionState._meta.db_table in connections[database()].introspection.table_names()


def _has_history(projection: Projection, start: int, before: int | None) -> bool:
    events = reader.selection(projection.wanted_types(), None, database()).after(start)
    return (events if before is None else events.up_to(before - 1)).exists()
