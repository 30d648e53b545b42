"""The lag of projections: the position that their rows have reached, and how far it is behind the store."""

from datetime import datetime
from typing import Final

from events.models import Event
from events.routing import database
from projections import registry
from projections.base import Mode, Projection
from projections.models import Build, ProjectionState, Status

# The lag in events is counted up to this number.
MAX_COUNTED_LAG: Final = 10_000


def reached(name: str) -> int:
    """Return the position up to which the rows of a projection contain all events; 0 if it is not registered."""
    state = ProjectionState.objects.using(database()).filter(pk=name).prefetch_related("checkpoints").first()
    return rows_position(registry.get(name), state) if state else 0


def lag_events(position: int, up_to: int) -> int:
    """Return how many events lie between two positions, counted up to `MAX_COUNTED_LAG`."""
    return Event.objects.using(database()).after(position).up_to(up_to)[:MAX_COUNTED_LAG].count()


def rows_position(projection: Projection | None, state: ProjectionState) -> int:
    """Return the position that the rows have reached, which is the position of the slowest shard.

    The rows of a live INLINE projection have reached the last event that is visible.
    """
    live = [each.position for each in state.checkpoints.all() if each.build == Build.LIVE]
    if live:
        return min(live)
    if state.mode == Mode.INLINE and state.status == Status.RUNNING:
        if projection and (state.version, state.mode) == (projection.version, projection.mode):
            if state.missed_after is not None:
                return state.missed_after
            newest = Event.objects.using(database()).order_by("-position").values_list("position", flat=True)
            return newest.first() or 0
        return state.start_position
    building = [each.position for each in state.checkpoints.all()]
    return min(building, default=state.start_position)


def complete_position(state: ProjectionState) -> int:
    """Return the position up to which the rows of an INLINE projection contain all events, as far as it is checked."""
    return state.checked_position if state.missed_after is None else state.missed_after


def lagging_since(position: int) -> datetime | None:
    """Return when the first event that is missing from the rows was stored; None when none is missing.

    Events above the settled position count as well, so that a stuck writer shows.
    """
    waiting = Event.objects.using(database()).after(position).with_showable_moments().order_by("position")
    return waiting.values_list("recorded_at", flat=True).first()
