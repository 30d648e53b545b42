"""The tables of the machinery, and the read models that this app ships."""

from .read_models import AggregateActivity, DailyActivity, EventTypeActivity
from .state import Build, Checkpoint, Heartbeat, Operation, ParkedEvent, ProjectionState, Rebuild, Status

__all__ = [
    "AggregateActivity",
    "Build",
    "Checkpoint",
    "DailyActivity",
    "EventTypeActivity",
    "Heartbeat",
    "Operation",
    "ParkedEvent",
    "ProjectionState",
    "Rebuild",
    "Status",
]
