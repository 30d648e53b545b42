"""What an operator may do to a projection; each act is written down, with who did it and why."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.db import connections, transaction
from django.utils import timezone

from events.models import Event
from events.routing import database
from projections import registry
from projections.base import Mode, Projection
from projections.engine import failures, registration
from projections.exceptions import OperationRejected
from projections.models import Build, Checkpoint, Operation, ParkedEvent, ProjectionState, Rebuild, Status
from projections.rebuild import shadow_tables

Action = Operation.Action


def pause(name: str, *, by: str, reason: str = "") -> None:
    """Let workers leave a projection alone, from the end of the pass that is under way.

    Raises:
        OperationRejected: it is INLINE, and so a part of every append.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    if projection.mode is Mode.INLINE:
        raise OperationRejected(
            f"Projection {name!r} is INLINE: paused, it would miss events for good. Take it out of the code, or make it"
            " ASYNC"
        )
    with _recorded(projection, Action.PAUSE, by, reason) as (state, _):
        _set_status(state, Status.PAUSED, f"by {by}" + (f": {reason}" if reason else ""))


def resume(name: str, *, by: str, reason: str = "") -> None:
    """Let workers go on with a projection that was paused or has stopped, and with a rebuild that has.

    Raises:
        OperationRejected: nothing keeps it from running.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    with _recorded(projection, Action.RESUME, by, reason) as (state, _):
        rebuild = Rebuild.objects.using(database()).filter(projection=state).exclude(error="")
        if state.status not in (Status.PAUSED, Status.STOPPED) and not rebuild.exists():
            raise OperationRejected(f"Projection {name!r} is {state.status}; there is nothing to resume")
        if state.status in (Status.PAUSED, Status.STOPPED):
            _set_status(state, Status.RUNNING, "")
        rebuild.update(error="")
        state.checkpoints.using(database()).update(attempts=0, next_attempt_at=None)


def retry(name: str, *, by: str, reason: str = "", aggregate_id: str | None = None) -> tuple[int, int]:
    """Replay parked events in order, of one aggregate or of all; return how many were handled, and how many still wait.

    Of an aggregate whose event fails again, that one and those behind it stay parked, with the new error.

    Raises:
        OperationRejected: nothing is parked, or the rows are of another version than the code.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    with _recorded(projection, Action.RETRY, by, reason) as (state, record):
        waiting = _parked(projection, state, aggregate_id)
        handled = 0
        for aggregate in dict.fromkeys(event.aggregate_id for event in waiting):
            handled += _replay(projection, [event for event in waiting if event.aggregate_id == aggregate])
        left = len(waiting) - handled
        record.aggregate_id = aggregate_id or ""
        record.outcome = f"{handled} handled, {left} still parked"
    return handled, left


def skip(name: str, position: int, *, by: str, reason: str) -> tuple[int, int]:
    """Give up one parked event, for good in this version, and replay those that waited behind it.

    Raises:
        OperationRejected: no event that failed is parked at `position`, or there is no reason.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    if not reason.strip():
        raise OperationRejected("Give a reason: the event will be missing from the rows, and somebody will ask why")
    with _recorded(projection, Action.SKIP, by, reason) as (state, record):
        waiting = _parked(projection, state, None)
        skipped = next((event for event in waiting if event.position == position), None)
        if skipped is None or not skipped.error:
            failed = ", ".join(str(event.position) for event in waiting if event.error)
            raise OperationRejected(f"No failed event is parked at position {position}; there are some at: {failed}")
        behind = [event for event in waiting if event.aggregate_id == skipped.aggregate_id and event is not skipped]
        skipped.delete(using=database())
        handled = _replay(projection, behind)
        left = len(behind) - handled
        record.aggregate_id, record.position = skipped.aggregate_id, position
        record.outcome = f"{handled} behind it handled, {left} still parked; error was {skipped.error}"
    return handled, left


def ask_for_rebuild(name: str, *, by: str, reason: str = "", in_place: bool = False) -> None:
    """Have the projection's rows made anew from the events, by whatever worker comes first.

    Asking again lets a rebuild that has begun go on, after an error too.

    Args:
        in_place: empty the rows that are served, and fill them again: they are incomplete meanwhile.

    Raises:
        OperationRejected: a rebuild of the other kind is under way.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    with _recorded(projection, Action.REBUILD, by, reason) as (state, record):
        rebuild, is_new = Rebuild.objects.using(database()).get_or_create(
            projection_id=name, defaults={"version": projection.version, "in_place": in_place, "by": by}
        )
        if is_new:
            # Should anything be left of an earlier one: it may have been of the other kind.
            Checkpoint.objects.using(database()).of_rebuild().filter(projection=name).delete()
            return
        if in_place != rebuild.in_place and state.status != Status.BUILDING:
            kind = "in place" if rebuild.in_place else "beside its rows"
            raise OperationRejected(
                f"A rebuild of {name!r} {kind} is under way; let it end, or cancel it:"
                f" rebuild_projection {name} --cancel"
            )
        rebuild.version, rebuild.error = projection.version, ""
        rebuild.save(using=database())
        record.outcome = "goes on"
        Checkpoint.objects.using(database()).of_rebuild().filter(projection=name).update(
            attempts=0, next_attempt_at=None
        )


def cancel_rebuild(name: str, *, by: str, reason: str = "") -> None:
    """Give up a rebuild, and what it has filled so far; the rows that are served go on as they are.

    Raises:
        OperationRejected: there is none, or it fills the rows that are served, which it has emptied.
        UnknownProjection: there is none of this name.
    """
    projection = registry.get(name)
    with _recorded(projection, Action.CANCEL, by, reason) as (state, _):
        rebuild = Rebuild.objects.using(database()).filter(pk=name).first()
        if rebuild is None:
            raise OperationRejected(f"No rebuild of {name!r} is under way")
        if rebuild.in_place and _is_emptied(state):
            raise OperationRejected(
                f"{name!r} is filled in place: its rows are incomplete until that is done. Let it end"
            )
        _remove_rebuild(name)


def _is_emptied(state: ProjectionState) -> bool:
    """Say whether a rebuild in place has begun. INLINE rows have no checkpoint that would be gone by then."""
    if state.mode == Mode.INLINE or state.status == Status.BUILDING:
        return state.status == Status.BUILDING
    return not state.checkpoints.using(database()).live().exists()


def forget(name: str) -> None:
    """Remove what the database knows of a projection that has no code any more; its tables stay as they are.

    Raises:
        OperationRejected: there is code for it, or it is not known.
    """
    if name in {each.name for each in registry.all_projections()}:
        raise OperationRejected(f"Projection {name!r} is in the code; it would be registered again at once")
    with transaction.atomic(database()):
        if not ProjectionState.objects.using(database()).filter(pk=name).exists():
            raise OperationRejected(f"No projection {name!r} is known")
        state = registration.lock(name)
        _remove_rebuild(name)
        state.delete(using=database())


def _remove_rebuild(name: str) -> None:
    using = database()
    Rebuild.objects.using(using).filter(pk=name).delete()
    Checkpoint.objects.using(using).of_rebuild().filter(projection=name).delete()
    ParkedEvent.objects.using(using).filter(projection=name, build=Build.REBUILD).delete()
    shadow_tables.drop(name)


@contextmanager
def _recorded(
    projection: Projection, action: Action, by: str, reason: str
) -> Iterator[tuple[ProjectionState, Operation]]:
    """Do an operation in one transaction, which locks the projection's state; then write down what it was."""
    using = database()
    registration.ensure(projection)
    record = Operation(projection=projection.name, version=projection.version, action=action, by=by, reason=reason)
    with transaction.atomic(using):
        yield registration.lock(projection.name), record
        record.save(using=using)


def _set_status(state: ProjectionState, status: Status, reason: str) -> None:
    state.status, state.status_reason, state.status_since = status, reason, timezone.now()
    state.save(update_fields=["status", "status_reason", "status_since"], using=database())


def _parked(projection: Projection, state: ProjectionState, aggregate_id: str | None) -> list[ParkedEvent]:
    """Return the parked events. Every shard is locked: no pass can park another one behind them meanwhile."""
    if (state.version, state.mode) != (projection.version, projection.mode):
        raise OperationRejected(
            f"The rows of {projection.name!r} are of version {state.version}, the code is of version"
            f" {projection.version}. Rebuild it: that replays everything"
        )
    parked = ParkedEvent.objects.using(database()).filter(projection=projection.name, build=Build.LIVE)
    if aggregate_id is not None:
        parked = parked.filter(aggregate_id=aggregate_id)
    found = list(parked.order_by("position"))
    if not found:
        of = f" of aggregate {aggregate_id!r}" if aggregate_id is not None else ""
        raise OperationRejected(f"Nothing{of} is parked by {projection.name!r}")
    return found


def _replay(projection: Projection, parked: Sequence[ParkedEvent]) -> int:
    """Handle the parked events of one aggregate in order, up to the first that fails; return how many."""
    using = database()
    events = Event.objects.using(using).in_bulk([each.position for each in parked])
    for handled, each in enumerate(parked):
        try:
            with transaction.atomic(using):
                projection.project_batch([events[each.position]])
                connections[using].check_constraints()  # now, and not at the end, for all of them at once
                each.delete(using=using)
        except Exception as error:
            cause = error.__cause__ or error
            each.attempts += 1
            each.error, each.traceback = failures.summary(cause), failures.full(cause)
            each.save(using=using)
            return handled
    return len(parked)
