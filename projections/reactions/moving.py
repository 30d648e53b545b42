"""Move a reaction on purpose and on the record: back, to handle events again, or forward, to leave some out."""

from typing import Any, Final

from django.utils import timezone

from events.routing import database
from events.storage import ordering
from projections import registry
from projections.base import Kind, Projection
from projections.exceptions import OperationRejected
from projections.models import Build, Operation, ParkedEvent, Timer
from projections.operations.actions import recorded

# The values of a checkpoint at which nothing has failed.
_NO_FAILURE: Final[dict[str, Any]] = {
    "attempts": 0,
    "next_attempt_at": None,
    "failing_position": None,
    "error": "",
    "waiting_since": None,
    "unavailable_since": None,
    "batch_limit": None,
}


def rewind(name: str, from_position: int, *, by: str, reason: str = "", send_again: bool = False) -> int:
    """Let a reaction handle its events from a position on again; return the position that it had reached.

    What it has stored because of these events is not stored again, and handlers get the same idempotency keys, so that
    a system that knows a key ignores the call.

    Args:
        from_position: the position of the first event to handle again, from 1 up.
        send_again: give the events new ids and the handlers new idempotency keys: everything is done again.

    Raises:
        OperationRejected: it is a projection, or has handled no event from this position on.
        UnknownProjection: no reaction has this name.
    """
    reaction, using = _reaction(name), database()
    if from_position < 1:
        raise OperationRejected(f"The position is {from_position}; give the position of an event, from 1 up")
    action = Operation.Action.SEND_AGAIN if send_again else Operation.Action.REWIND
    with recorded(reaction, action, by, reason) as (state, record):  # locks the checkpoints
        shards = list(state.checkpoints.using(using).live())
        reached = max((each.position for each in shards), default=0)
        if reached < from_position:
            raise OperationRejected(f"The reaction {name!r} has reached position {reached}, and will handle later ones")
        before = from_position - 1
        state.checkpoints.using(using).live().filter(position__gt=before).update(position=before, **_NO_FAILURE)
        # They come again; what is parked before the position stays, and what follows in its aggregate waits behind it.
        parked = ParkedEvent.objects.using(using).filter(projection=name, build=Build.LIVE, position__gt=before)
        parked.delete()
        # Their timers are scheduled again too, unless they have fired.
        Timer.objects.using(using).of(name).filter(source_position__gt=before).delete()
        if state.start_position > before:
            state.start_position = before
            state.save(update_fields=["start_position"], using=using)
        record.position, record.outcome = from_position, f"it had reached position {reached}"
    return reached


def forward(name: str, *, by: str, reason: str = "") -> tuple[int, int]:
    """Let a reaction leave out all events that are stored now; return the position it was at, and the one it is at.

    So an import of a history repeats none of its consequences. Events that have stepped aside or are parked stay, and
    so do timers.

    Raises:
        OperationRejected: it is a projection.
        UnknownProjection: no reaction has this name.
    """
    reaction, using = _reaction(name), database()
    with recorded(reaction, Operation.Action.FORWARD, by, reason) as (state, record):  # locks the checkpoints
        settled = ordering.settled_position(using)
        live = state.checkpoints.using(using).live()
        before = min((each.position for each in live), default=0)
        live.filter(position__lt=settled).update(position=settled, moved_at=timezone.now(), **_NO_FAILURE)
        record.position, record.outcome = settled, f"it had reached position {before}"
    return before, settled


def _reaction(name: str) -> Projection:
    reaction = registry.get(name)
    if reaction.kind is not Kind.REACTION:
        raise OperationRejected(f"{name!r} is a projection; rebuild it: rebuild_projection {name}")
    return reaction
