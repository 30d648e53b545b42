"""The read models in Django's admin."""

from django.contrib import admin
from django.contrib.admin.utils import quote
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second

from .models import AggregateActivity


@admin.register(AggregateActivity)
class AggregateActivityAdmin(BrowsingAdmin):
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
        url = reverse("admin:events_aggregate_change", args=[quote(activity.aggregate_id)])
        return format_html('<a href="{}">timeline</a>', url)
