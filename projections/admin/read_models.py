"""The read models that come with the app, in the admin."""

from django.contrib import admin
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, CategorizedAdmin, to_the_second
from events.admin.links import link, page_url
from projections.models import AggregateActivity, EventTypeActivity


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

    @admin.display(description="first timestamp")
    def first_happened(self, activity: AggregateActivity) -> SafeString:
        return to_the_second(activity.first_timestamp)

    @admin.display(description="last timestamp")
    def last_happened(self, activity: AggregateActivity) -> SafeString:
        return to_the_second(activity.last_timestamp)

    @admin.display(description="history")
    def history(self, activity: AggregateActivity) -> SafeString:
        return link(page_url("events_aggregate_change", activity.aggregate_id), "timeline")


class EventTypeActivityAdmin(BrowsingAdmin):
    list_display = ["type", "event_count", "first_stored", "last_stored", "last_position"]
    ordering = ["type"]
    search_fields = ["type"]
    search_help_text = "The beginning of an event type"
    prefix_field = "type"

    @admin.display(description="first stored")
    def first_stored(self, activity: EventTypeActivity) -> SafeString:
        return to_the_second(activity.first_recorded_at)

    @admin.display(description="last stored")
    def last_stored(self, activity: EventTypeActivity) -> SafeString:
        return to_the_second(activity.last_recorded_at)


class DailyActivityAdmin(CategorizedAdmin):
    list_display = ["day", "category", "event_count"]
    ordering = ["-day", "category"]
    search_fields = ["category"]
    search_help_text = "The beginning of a category"
    prefix_field = "category"
