"""The operations on projections, in the admin."""

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second
from events.routing import database
from projections.models import Operation

NEWEST = 20


def latest_operations(name: str) -> list[Operation]:
    """Return the latest operations on a projection, newest first."""
    return list(Operation.objects.using(database()).filter(projection=name).order_by("-at", "-pk")[:NEWEST])


def may_view_operations(request: HttpRequest) -> bool:
    return request.user.has_perm("projections.view_operation")


class OperationAdmin(BrowsingAdmin):
    list_display = ["when", "projection", "action", "by", "reason", "aggregate_id", "position", "outcome"]
    list_filter = ["projection", "action"]
    ordering = ["-at"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]  # Django's own default

    class Media:
        css = {"all": ["projections/board.css"]}

    @admin.display(description="at")
    def when(self, operation: Operation) -> SafeString:
        return to_the_second(operation.at)
