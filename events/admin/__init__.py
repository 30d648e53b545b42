"""The store in Django's admin: browse aggregates and events, append one."""

from django.contrib import admin

from events.models import Aggregate, Event

from .aggregates import AggregateAdmin
from .events import EventAdmin

admin.site.register(Aggregate, AggregateAdmin)
admin.site.register(Event, EventAdmin)

__all__ = ["AggregateAdmin", "EventAdmin"]
