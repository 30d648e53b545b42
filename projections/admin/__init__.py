"""Projections, their workers and their read models in Django's admin."""

from django.contrib import admin

from events.admin.events import EventAdmin
from projections.conf import conf
from projections.models import AggregateActivity, DailyActivity, EventTypeActivity

from . import flow_notes
from .operation_log import OperationAdmin
from .parked_events import ParkedEventAdmin
from .projections import ProjectionAdmin
from .read_models import AggregateActivityAdmin, DailyActivityAdmin, EventTypeActivityAdmin
from .timers import TimerAdmin
from .workers import HeartbeatAdmin

if flow_notes.notes not in EventAdmin.notes:
    EventAdmin.notes.append(flow_notes.notes)
if conf.at_start("aggregate_activity"):
    admin.site.register(AggregateActivity, AggregateActivityAdmin)
if conf.at_start("event_type_activity"):
    admin.site.register(EventTypeActivity, EventTypeActivityAdmin)
if conf.at_start("daily_activity"):
    admin.site.register(DailyActivity, DailyActivityAdmin)

__all__ = [
    "AggregateActivityAdmin",
    "DailyActivityAdmin",
    "EventTypeActivityAdmin",
    "HeartbeatAdmin",
    "OperationAdmin",
    "ParkedEventAdmin",
    "ProjectionAdmin",
    "TimerAdmin",
]
