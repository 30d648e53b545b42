"""The store in Django's admin: browse aggregates and events, append an event, see the dashboard."""

from django.contrib import admin

from events.conf import conf
from events.models import Aggregate, Event

from .aggregates import AggregateAdmin
from .events import EventAdmin

admin.site.register(Aggregate, AggregateAdmin)
admin.site.register(Event, EventAdmin)

# The template extends the project's own index. A project that has set another index template keeps it.
INDEX_TEMPLATE = "admin/events/index.html"
if conf.at_start("admin_dashboard") and admin.site.index_template is None:
    admin.site.index_template = INDEX_TEMPLATE

__all__ = ["INDEX_TEMPLATE", "AggregateAdmin", "EventAdmin"]
