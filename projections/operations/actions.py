"""The operations on projections. Each is recorded, with who did it and why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import OperationalError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from events.routing import database
from events.storage import autocommit, ordering, reader
from events.summaries import readable, summary
from projections import registry
from projections.base import Kind, Mode, Projection
from projections.engine import missed, registration, retries
from projections.exceptions import OperationRejected
from projections.models import Build, Checkpoint, InlineCount, Operation, ParkedEvent, ProjectionState, Rebuild, Status
from projections.rebuild import shadow_tables
from projections.rebuild.locking import is_transient, lock_out_writers

Action = Operation.Action
USER_CHARACTERS = 150


def pause(name: str, *, by: str, reason: str = "") -> None:
    """Wait for the running passes of a projection to end, then pause it, so that workers run no more passes.

    Raises:
        OperationRejected: the projection is INLINE, so every append runs it.
        UnknownProjection: no projection has this name.
    """
    projection = registry.get(name)
    if projection.mode is Mode.INLINE:
        raise OperationRejected(
            f"Projection {name!r} is INLINE and cannot be paused: it would miss events permanently. Remove it from the"
            " code, or make it ASYNC"
        )
    with recorded(projection, Action.PAUSE, by, reason) as (state, _):
        _check_decided(state)
        _set_status(state, Status.PAUSED, f"by {by}" + (f": {reason}" if reason else ""))


def resume(name: str, *, by: str, reason: str = "") -> None:
    """Resume a projection that is paused or stopped, and its rebuild if that has stopped.

    Events that have stepped aside are retried at once, with all their attempts, and the breaker forgets its count.

    Raises:
        OperationRejected: neither the projection nor its rebuild is paused or stopped.
        UnknownProjection: no projection has this name.
    """
    with recorded(registry.get(name), Action.RESUME, by, reason) as (state, _):
        if not Rebuild.objects.using(database()).filter(projection=state).exists():
            _check_decided(state)
        rebuild = Rebuild.objects.using(database()).filter(projection=state).exclude(error="")
        if state.status not in (Status.PAUSED, Status.STOPPED) and not rebuild.exists():
            raise OperationRejected(f"Projection {name!r} is {state.status}; there is nothing to resume")
        if state.status in (Status.PAUSED, Status.STOPPED):
            _set_status(state, Status.RUNNING, "")
        rebuild.update(error="")
        _begin_again(state.checkpoints.using(database()).all())
        ParkedEvent.objects.using(database()).filter(projection=state).retried().update(
            attempts=0, next_attempt_at=timezone.now()
        )


def retry(name: str, *, by: str, reason: str = "", aggregate_id: str | None = None) -> tuple[int, int]:
    """Replay parked events in order, of one aggregate or of all; return how many were handled, and how many are left.

    If an event fails again, it stays parked with the new error, and so do the later events of its aggregate.

    Raises:
        OperationRejected: no event is parked, or the rows are of another version than the code.
        UnknownProjection: no projection has this name.
    """
    projection = registry.get(name)
    with recorded(projection, Action.RETRY, by, reason) as (state, record):
        waiting = _parked(projection, state, aggregate_id)
        handled = 0
        for aggregate in dict.fromkeys(event.aggregate_id for event in waiting):
            handled += _replay(projection, [event for event in waiting if event.aggregate_id == aggregate])
        left = len(waiting) - handled
        record.aggregate_id = aggregate_id or ""
        record.outcome = f"{handled} handled, {left} still parked"
    return handled, left


def skip(name: str, position: int, *, by: str, reason: str) -> tuple[int, int]:
    """Skip one parked event permanently in this version, and replay the events that waited behind it.

    Raises:
        OperationRejected: no failed event is parked at `position`, or the reason is empty.
        UnknownProjection: no projection has this name.
    """
    projection = registry.get(name)
    if not reason.strip():
        raise OperationRejected("Give a reason, for the record: the event will be missing from the rows")
    with recorded(projection, Action.SKIP, by, reason) as (state, record):
        waiting = _parked(projection, state, None)
        skipped = next((event for event in waiting if event.position == position), None)
        if skipped is None or not skipped.error:
            failed = ", ".join(str(event.position) for event in waiting if event.error)
            raise OperationRejected(
                f"No failed event is parked at position {position}. Failed events are parked at: {failed}"
            )
        behind = [event for event in waiting if event.aggregate_id == skipped.aggregate_id and event is not skipped]
        skipped.delete(using=database())
        handled = _replay(projection, behind)
        left = len(behind) - handled
        record.aggregate_id, record.position = skipped.aggregate_id, position
        record.outcome = f"{handled} behind it handled, {left} still parked; its error was {skipped.error}"
    return handled, left


def ask_for_rebuild(name: str, *, by: str, reason: str = "", in_place: bool = False) -> None:
    """Request a rebuild of the projection's rows from the events; the next worker begins it.

    If a rebuild has already begun, it continues, even after an error.

    Args:
        in_place: delete the rows that are served, and fill the tables again. The rows are incomplete until the end.

    Raises:
        OperationRejected: a rebuild with another `in_place` is running, or it is a reaction.
        UnknownProjection: no projection has this name.
    """
    projection = registry.get(name)
    if projection.kind is Kind.REACTION:
        raise OperationRejected(
            f"{name!r} is a reaction, and a rebuild would cause its effects again. To handle events again on purpose:"
            f" rewind_reaction {name} --from POSITION"
        )
    with recorded(projection, Action.REBUILD, by, reason) as (state, record):
        rebuild, is_new = Rebuild.objects.using(database()).get_or_create(
            projection_id=name, defaults={"version": projection.version, "in_place": in_place, "by": by}
        )
        if is_new:
            # An earlier rebuild, perhaps with another `in_place`, may have left checkpoints.
            Checkpoint.objects.using(database()).of_rebuild().filter(projection=name).delete()
            return
        if in_place != rebuild.in_place and state.status != Status.BUILDING:
            kind = "in place" if rebuild.in_place else "in shadow tables"
            raise OperationRejected(
                f"A rebuild of {name!r} {kind} is running. Wait until it ends, or cancel it:"
                f" rebuild_projection {name} --cancel"
            )
        rebuild.version, rebuild.error = projection.version, ""
        rebuild.save(using=database())
        record.outcome = "continues"
        _begin_again(Checkpoint.objects.using(database()).of_rebuild().filter(projection=name))


def _begin_again(shards: QuerySet[Checkpoint]) -> None:
    """Forget the attempts of shards, and the failures that the breaker has counted."""
    shards.update(attempts=0, next_attempt_at=None, recent=None, failing_since=None)


def keep_rows(name: str, *, by: str, reason: str = "") -> None:
    """Keep the rows that a projection's tables held when it was registered, and start it with the next event.

    A later rebuild replaces the rows by those that the events give.

    Raises:
        OperationRejected: the projection has been decided on, a rebuild is requested, or a transaction is open.
        UnknownProjection: no projection has this name.
    """
    projection, using = registry.get(name), database()
    try:
        with transaction.atomic(using):
            if projection.mode is Mode.INLINE:
                lock_out_writers(using)  # as in a swap, before the state is locked
            with recorded(projection, Action.KEEP, by, reason) as (state, record):
                if state.status != Status.UNDECIDED or Rebuild.objects.using(using).filter(projection=state).exists():
                    raise OperationRejected(
                        f"Projection {name!r} does not wait for a decision about its rows, or a rebuild of it has been"
                        " requested; there is nothing to keep"
                    )
                record.outcome = f"starts after position {_start_now(projection, state)}"
    except OperationalError as error:
        if not is_transient(error):
            raise
        raise OperationRejected(
            f"A transaction that appends events of projection {name!r} is open. Try again when it has ended"
        ) from error


def _start_now(projection: Projection, state: ProjectionState) -> int:
    using = database()
    position = ordering.settled_position(using)
    # In one statement: what commits later is counted by its writer, or missed.
    later = reader.selection(projection.wanted_types(), None, using).after(position).count()
    state.mode, state.version = projection.mode, projection.version
    counting = missed.begin_counting(projection, state, position, later)
    state.save(update_fields=["mode", "version", *counting], using=using)
    _set_status(state, Status.RUNNING, "")
    if projection.mode is Mode.ASYNC:
        registration.create_checkpoints(projection, state, position)
    return position


def _check_decided(state: ProjectionState) -> None:
    if state.status == Status.UNDECIDED:
        raise OperationRejected(f"Projection {state.name!r} has not started: {state.status_reason}")


def cancel_rebuild(name: str, *, by: str, reason: str = "") -> None:
    """Cancel a rebuild, and drop the rows that it has built; the served rows stay.

    Raises:
        OperationRejected: no rebuild is running, or it runs in place and has deleted the served rows.
        UnknownProjection: no projection has this name.
    """
    with recorded(registry.get(name), Action.CANCEL, by, reason) as (state, _):
        rebuild = Rebuild.objects.using(database()).filter(pk=name).first()
        if rebuild is None:
            raise OperationRejected(f"No rebuild of {name!r} is running")
        if rebuild.in_place and _is_emptied(state):
            raise OperationRejected(
                f"The rebuild of {name!r} runs in place: the rows are incomplete until it ends. Wait until it ends"
            )
        _remove_rebuild(name)


def _is_emptied(state: ProjectionState) -> bool:
    """Return whether a rebuild in place has begun. INLINE projections have no live checkpoints to look at."""
    if state.status == Status.UNDECIDED:
        return False
    if state.mode == Mode.INLINE or state.status == Status.BUILDING:
        return state.status == Status.BUILDING
    return not state.checkpoints.using(database()).live().exists()


def forget(name: str) -> None:
    """Remove the state, checkpoints and parked events of a projection whose code is gone; its tables stay.

    Raises:
        OperationRejected: the projection is still in the code, or the database does not know it.
    """
    if name in {each.name for each in registry.all_projections()}:
        raise OperationRejected(
            f"Projection {name!r} is still in the code and would be registered again. Remove its code first"
        )
    autocommit.require(database())
    with transaction.atomic(database()):
        if not ProjectionState.objects.using(database()).filter(pk=name).exists():
            raise OperationRejected(f"The database knows no projection {name!r}")
        state = registration.lock_state(name)
        _remove_rebuild(name)
        InlineCount.objects.using(database()).filter(projection=name).delete()
        state.delete(using=database())


def _remove_rebuild(name: str) -> None:
    using = database()
    Rebuild.objects.using(using).filter(pk=name).delete()
    Checkpoint.objects.using(using).of_rebuild().filter(projection=name).delete()
    ParkedEvent.objects.using(using).filter(projection=name, build=Build.REBUILD).delete()
    shadow_tables.drop(name)


@contextmanager
def recorded(
    projection: Projection, action: Action, by: str, reason: str
) -> Iterator[tuple[ProjectionState, Operation]]:
    """Open a transaction that locks the projection; at the end of the block, save the record of the operation."""
    using = database()
    autocommit.require(using)
    registration.ensure_registered(projection)
    by, reason = readable(by)[:USER_CHARACTERS], readable(reason)
    record = Operation(projection=projection.name, version=projection.version, action=action, by=by, reason=reason)
    with transaction.atomic(using):
        yield registration.lock_state(projection.name), record
        record.save(using=using)


def _set_status(state: ProjectionState, status: Status, reason: str) -> None:
    state.status, state.status_reason, state.status_since = status, reason, timezone.now()
    state.save(update_fields=["status", "status_reason", "status_since"], using=database())


def _parked(projection: Projection, state: ProjectionState, aggregate_id: str | None) -> list[ParkedEvent]:
    """Return the parked events. Every shard is locked, so no pass can park further events."""
    if (state.version, state.mode) != (projection.version, projection.mode):
        raise OperationRejected(
            f"The rows of {projection.name!r} are of version {state.version}, but the code is of version"
            f" {projection.version}. Rebuild the projection: a rebuild handles all events again"
        )
    parked = ParkedEvent.objects.using(database()).filter(projection=projection.name, build=Build.LIVE)
    if aggregate_id is not None:
        parked = parked.filter(aggregate_id=aggregate_id)
    found = list(parked.order_by("position"))
    if not found:
        of = f" of aggregate {aggregate_id!r}" if aggregate_id is not None else ""
        raise OperationRejected(f"Projection {projection.name!r} has no parked events{of}")
    return found


def _replay(projection: Projection, parked: Sequence[ParkedEvent]) -> int:
    """Handle the parked events of one aggregate in order, up to the first failure; return how many were handled."""
    try:
        handled = retries.replay(projection, parked)
    except retries.RetryInterrupted as interrupted:
        raise OperationRejected(
            f"The connection was lost, the server ran short of resources, or a deadlock was ended, at the event at"
            f" position {interrupted.parked.position}, and nothing has changed:"
            f" {summary(interrupted.__cause__ or interrupted)}. If this comes back, correct the handler, or"
            " skip the event"
        ) from interrupted
    return handled
