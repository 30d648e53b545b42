"""Helpers for testing your projections in a plain `TestCase`, without a worker.

class OrderTotals(TestCase):
    def test_total(self):
        project(OrderTotalProjection, NewEvent("order-1", "OrderPlaced", {"total": 5}))
        self.assertEqual(OrderTotal.objects.get().total, 5)
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone

from events.models import Event
from events.routing import database
from events.storage import ordering, reader
from events.store import EventStore
from events.types import NewEvent
from events.validation import check_moment

from . import registry
from .base import Kind, Mode, Projection
from .engine import runner
from .engine.handling import handlers_of
from .exceptions import HandlerFailed, OperationRejected
from .models import Build, Checkpoint, ProjectionState, Status, Timer
from .operations import lag
from .reactions import firing
from .workers.scheduler import Task, plan

__all__ = ["project", "run_due_timers", "run_until_caught_up"]


def project(projection: type[Projection], *events: NewEvent) -> list[Event]:
    """Dispatch `events`, pass them to `projection`, and return the stored events. It need not be registered.

    Raises:
        Exception: the exception that a handler raised.
    """
    stored = EventStore().dispatch(*events)
    if projection in registry.registered() and _has_handled(projection, stored):
        return stored
    wanted = projection().wanted_types()
    try:
        with handlers_of(projection()) as call:
            call([event for event in stored if wanted is None or event.type in wanted])
    except HandlerFailed as failure:
        raise failure.__cause__ or failure from None
    return stored


def _has_handled(projection: type[Projection], events: Sequence[Event]) -> bool:
    """Return whether the dispatch has called the projection: an INLINE one, or any in `eager_events`."""
    return projection.mode is Mode.INLINE or not events or lag.reached(projection.name) >= events[-1].position


def run_until_caught_up(*names: str) -> int:
    """Run projections in this thread and transaction until they have caught up; return how many events they handled.

    Reactions run too, and their timers that are due now fire.

    Args:
        names: the projections to run; all registered projections if none is given.

    Raises:
        Exception: the exception that a handler raised; events are neither retried nor parked.
        OperationRejected: a projection does not start, because its tables held rows before it was registered.
        UnknownProjection: no projection has one of the names.
    """
    projections = registry.named(names)
    handled = _catch_up(projections)
    while _fire_next(projections, timezone.now()):
        handled += _catch_up(projections)
    return handled


def run_due_timers(at: datetime | None = None) -> int:
    """Fire the timers that are due at a moment, as if time had moved there; return how many have fired.

    They fire in the order of their due times. After each due time, all projections and reactions handle what was
    stored, so a timer that they cancel does not fire, and one that they schedule does.

    Args:
        at: the moment, timezone-aware; None stands for now.

    Raises:
        Exception: the exception that a handler raised, or that rejects the event of a timer.
        InvalidEvent: `at` has no time zone.
    """
    check_moment("at", at)
    until = at or timezone.now()
    projections = registry.all_projections()
    _catch_up(projections)
    fired = 0
    while number := _fire_next(projections, until):
        fired += number
        _catch_up(projections)
    return fired


def _fire_next(projections: Iterable[Projection], until: datetime) -> int:
    """Fire the timers with the earliest due time up to `until`; return how many have fired."""
    running = ProjectionState.objects.using(database()).filter(kind=Kind.REACTION, status=Status.RUNNING)
    reactions = {each.name: each for each in projections if each.kind is Kind.REACTION}
    if not reactions:
        return 0
    names = running.filter(name__in=reactions).values_list("name", flat=True)
    due = sorted((at, name) for name, at in Timer.objects.using(database()).next_due(names).items() if at <= until)
    return firing.fire_batch(reactions[due[0][1]], due[0][0]) if due else 0


def _catch_up(projections: Sequence[Projection]) -> int:
    """Run projections until they have caught up, also with what reactions store; return the number of events."""
    has_reactions = any(each.kind is Kind.REACTION for each in projections)
    handled = more = _run_passes(projections)
    while has_reactions and more:
        more = _run_passes(projections)
        handled += more
    return handled


def _run_passes(projections: Sequence[Projection]) -> int:
    """Run projections up to the settled position of now; return how many events they handled."""
    tasks = plan(projections)
    _check_started(projections)
    settled = ordering.settled_position(database())
    handled = 0
    for task in _with_events(tasks, settled):
        while task.position < settled:
            result = runner.run_pass(task.projection, task.checkpoint_id, settled, raise_errors=True)
            if result.outcome is not runner.PassOutcome.DONE:
                break
            task.position = result.position
            handled += result.events
    return handled


def _check_started(projections: Iterable[Projection]) -> None:
    states = ProjectionState.objects.using(database()).filter(name__in=[each.name for each in projections])
    if state := states.filter(status=Status.UNDECIDED).first():
        raise OperationRejected(f"Projection {state.name!r} does not start: {state.status_reason}")


def _with_events(tasks: Sequence[Task], settled: int) -> list[Task]:
    """Return the tasks with events to handle, and move the others to `settled` at once.

    A test runs this after each dispatch, and a pass takes seven statements.
    """
    having: list[Task] = []
    idle: list[Task] = []
    for task in tasks:
        events = reader.selection(task.projection.wanted_types(), None, database())
        is_idle = task.build == Build.LIVE and not events.after(task.position).up_to(settled).exists()
        (idle if is_idle else having).append(task)
    idle_checkpoints = Checkpoint.objects.using(database()).filter(pk__in=[task.checkpoint_id for task in idle])
    idle_checkpoints.filter(position__lt=settled).update(position=settled)
    return having
