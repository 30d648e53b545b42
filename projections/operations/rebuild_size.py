"""The size of a rebuild: how many events it reads, and about how long it takes."""

import json
from dataclasses import dataclass
from typing import Final

from events.routing import database
from events.storage import ordering, reader
from projections import registry
from projections.models import ProjectionState

# Up to this number, events are counted; above it, the number is PostgreSQL's estimate.
COUNTED_EVENTS: Final = 10_000
# What one worker usually handles; handlers that write much are slower.
EVENTS_PER_SECOND: Final = 1000


@dataclass(frozen=True)
class RebuildSize:
    """How many events a rebuild reads."""

    events: int
    is_estimate: bool

    @property
    def seconds(self) -> float:
        return self.events / EVENTS_PER_SECOND


def rebuild_size(state: ProjectionState) -> RebuildSize:
    """Return the size of a rebuild of a projection.

    Raises:
        UnknownProjection: there is no code for the projection.
    """
    using = database()
    events = reader.selection(registry.get(state.name).wanted_types(), None, using)
    events = events.after(state.start_position).up_to(ordering.settled_position(using))
    counted = events[: COUNTED_EVENTS + 1].count()
    if counted <= COUNTED_EVENTS:
        return RebuildSize(counted, is_estimate=False)
    estimate = json.loads(events.explain(format="json"))[0]["Plan"]["Plan Rows"]
    return RebuildSize(max(counted, estimate), is_estimate=True)
