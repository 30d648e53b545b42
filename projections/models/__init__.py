"""The tables that store the state of the projections, and the read models that come with the app."""

from .read_models import AggregateActivity, DailyActivity, EventTypeActivity
from .state import Build, Checkpoint, Heartbeat, InlineCount, Operation, ParkedEvent, ProjectionState, Rebuild, Status
from .timers import Timer

__all__ = [
    "AggregateActivity",
    "Build",
    "Checkpoint",
    "DailyActivity",
    "EventTypeActivity",
    "Heartbeat",
    "InlineCount",
    "Operation",
    "ParkedEvent",
    "ProjectionState",
    "Rebuild",
    "Status",
    "Timer",
]
