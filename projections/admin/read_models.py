"""The read models that come with the app, in the admin."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, CategorizedAdmin, to_the_second
from events.admin.links import link, page_url
from projections.models import AggregateActivity


def _time(field: str, label: str) -> Callable[[Any, Model], SafeString]:
    """Return a column that shows a time to the second."""
    return admin.display(description=label)(lambda self, row: to_the_second(getattr(row, field)))


class AggregateActivityAdmin(CategorizedAdmin):
    list_display = [
        "aggregate_id",
        "event_count",
        "first_type",
        "first_happened",
        "last_type",
        "last_happened",
        "history",
    ]

    first_happened = _time("first_timestamp", "first timestamp")
    last_happened = _time("last_timestamp", "last timestamp")

    @admin.display(description="history")
    def history(self, activity: AggregateActivity) -> SafeString:
        return link(page_url(self.admin_site.name, "events_aggregate_change", activity.aggregate_id), "timeline")


class EventTypeActivityAdmin(BrowsingAdmin):
    list_display = ["type", "event_count", "first_stored", "last_stored", "last_position"]
    ordering = ["type"]
    search_fields = ["type"]
    search_help_text = "The beginning of an event type"
    prefix_field = "type"

    first_stored = _time("first_recorded_at", "first stored")
    last_stored = _time("last_recorded_at", "last stored")


class DailyActivityAdmin(CategorizedAdmin):
    list_display = ["day", "category", "event_count"]
    ordering = ["-day", "category"]
    search_fields = ["category"]
    search_help_text = "The beginning of a category"
    prefix_field = "category"
