"""The tables that store the state of the projections, and the read models that come with the app."""

from .heartbeats import MAX_SILENCE, Heartbeat
from .read_models import AggregateActivity, DailyActivity, EventTypeActivity
from .state import Build, Checkpoint, InlineCount, Operation, ParkedEvent, ProjectionState, Rebuild, Status
from .timers import Timer

__all__ = [
    "MAX_SILENCE",
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
