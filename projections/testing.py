"""Helpers for testing your projections in a plain `TestCase`, without a worker.

class OrderTotals(TestCase):
    def test_total(self):
        project(OrderTotalProjection, NewEvent("order-1", "OrderPlaced", {"total": 5}))
        self.assertEqual(OrderTotal.objects.get().total, 5)
"""

from events.models import Event
from events.routing import database
from events.storage import ordering
from events.store import EventStore
from events.types import NewEvent

from . import registry
from .base import Mode, Projection
from .engine import runner
from .engine.registration import ensure_registered
from .exceptions import HandlerFailed, OperationRejected
from .models import Status
from .workers.scheduler import plan

__all__ = ["project", "run_until_caught_up"]


def project(projection: type[Projection], *events: NewEvent) -> list[Event]:
    """Dispatch `events`, pass them to `projection`, and return the stored events. It need not be registered.

    Raises:
        Exception: the exception that a handler raised.
    """
    stored = EventStore().dispatch(*events)
    if projection in registry.registered() and projection.mode is Mode.INLINE:
        return stored  # the dispatch has called it
    wanted = projection().wanted_types()
    try:
        projection().project_batch([event for event in stored if wanted is None or event.type in wanted])
    except HandlerFailed as failure:
        raise failure.__cause__ or failure from None
    return stored


def run_until_caught_up(*names: str) -> int:
    """Run projections in this thread and transaction until they have caught up; return how many events they handled.

    Args:
        names: the projections to run; all registered projections if none is given.

    Raises:
        Exception: the exception that a handler raised; events are neither retried nor parked.
        OperationRejected: a projection does not start, because its tables held rows before it was registered.
        UnknownProjection: no projection has one of the names.
    """
    handled = 0
    for projection in registry.named(names):
        if (state := ensure_registered(projection)).status == Status.UNDECIDED:
            raise OperationRejected(f"Projection {state.name!r} does not start: {state.status_reason}")
    for task in plan(registry.named(names)):
        settled = ordering.settled_position(database())
        while task.position < settled:
            result = runner.run_pass(task.projection, task.checkpoint_id, settled, raise_errors=True)
            if result.outcome is not runner.PassOutcome.DONE:
                break
            task.position = result.position
            handled += result.events
    return handled
