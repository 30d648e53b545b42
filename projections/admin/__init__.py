"""Projections, their workers and their read models in Django's admin."""

from django.contrib import admin

from projections.conf import conf
from projections.models import AggregateActivity, DailyActivity, EventTypeActivity

from .operation_log import OperationAdmin
from .parked_events import ParkedEventAdmin
from .projections import ProjectionAdmin
from .read_models import AggregateActivityAdmin, DailyActivityAdmin, EventTypeActivityAdmin
from .timers import TimerAdmin
from .workers import HeartbeatAdmin

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
