"""Projections, their workers and their read models in Django's admin."""

from django.contrib import admin

from projections.conf import conf
from projections.models import (
    AggregateActivity,
    DailyActivity,
    EventTypeActivity,
    Heartbeat,
    Operation,
    ParkedEvent,
    ProjectionState,
)

from .operation_log import OperationAdmin
from .parked import ParkedEventAdmin
from .projections import ProjectionAdmin
from .read_models import AggregateActivityAdmin, DailyActivityAdmin, EventTypeActivityAdmin
from .workers import HeartbeatAdmin

admin.site.register(ProjectionState, ProjectionAdmin)
admin.site.register(ParkedEvent, ParkedEventAdmin)
admin.site.register(Heartbeat, HeartbeatAdmin)
admin.site.register(Operation, OperationAdmin)
if conf.aggregate_activity:
    admin.site.register(AggregateActivity, AggregateActivityAdmin)
if conf.event_type_activity:
    admin.site.register(EventTypeActivity, EventTypeActivityAdmin)
if conf.daily_activity:
    admin.site.register(DailyActivity, DailyActivityAdmin)

__all__ = [
    "AggregateActivityAdmin",
    "DailyActivityAdmin",
    "EventTypeActivityAdmin",
    "HeartbeatAdmin",
    "OperationAdmin",
    "ParkedEventAdmin",
    "ProjectionAdmin",
]
