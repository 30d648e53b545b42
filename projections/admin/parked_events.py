"""Parked and retried events in the admin: the list, and a page for each event with those that wait behind it."""

from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.admin.browsing import to_the_second
from events.admin.links import link, page_url
from projections.models import Build, Operation, ParkedEvent
from projections.operations import actions

from . import parked_aggregates
from .actions import RETRY, SKIP, ActionResult, OperatingAdmin, retry_parked
from .links import Links


@admin.register(ParkedEvent)
class ParkedEventAdmin(OperatingAdmin):
    page_template = "admin/projections/parkedevent/change_form.html"
    missing_row = "This event is no longer parked."
    list_display = ["position", "projection", "aggregate", "type", "state", "problem", "attempts", "parked"]
    list_filter = ["projection"]
    ordering = ["position"]
    actions = ["retry", "skip"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(build=Build.LIVE)

    @admin.display
    def aggregate(self, event: ParkedEvent) -> SafeString:
        return link(page_url(self.admin_site.name, "events_aggregate_change", event.aggregate_id), event.aggregate_id)

    @admin.display(description="error")
    def problem(self, event: ParkedEvent) -> str:
        return event.error or "waits behind an earlier event"

    @admin.display(ordering="next_attempt_at")
    def state(self, event: ParkedEvent) -> SafeString | str:
        return parked_aggregates.state_of(event)

    @admin.display(description="stepped aside")
    def parked(self, event: ParkedEvent) -> SafeString:
        return to_the_second(event.parked_at)

    def page_context(self, request: HttpRequest, row: ParkedEvent) -> dict[str, Any]:
        """Return a failed event with its error and the events behind it, or a waiting event and what it waits for."""
        links = Links(request)
        return {
            "event": row,
            "position": links.event(row.position, row.aggregate_id),
            "aggregate": links.aggregate(row.aggregate_id),
            "parked_at": to_the_second(row.parked_at),
            "retry_at": row.next_attempt_at,
            "blocked": parked_aggregates.of_failed(row.projection_id, [row], links)[0] if row.error else None,
            "in_front": None if row.error else parked_aggregates.in_front_of(row),
            "may_view_projections": request.user.has_perm("projections.view_projectionstate"),
            "operate_label": "Retry or skip" if row.error else "Retry",
            "buttons": ([RETRY, SKIP] if row.error else [RETRY]) if self.has_operate_permission(request) else [],
        }

    @admin.action(description="Retry their aggregates", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        events = queryset.select_related("projection").defer("traceback")
        aggregates = {(event.projection, event.aggregate_id): None for event in events}
        for projection, aggregate_id in aggregates:
            act = partial(retry_parked, projection.name, aggregate_id)
            self._operate(request, projection, Operation.Action.RETRY, act)

    @admin.action(description="Skip permanently (needs a reason)", permissions=["operate"])
    def skip(self, request: HttpRequest, queryset: QuerySet) -> None:
        for event in list(queryset.select_related("projection").defer("traceback")):
            act = partial(_skip_parked, event.projection_id, event.position)
            self._operate(request, event.projection, Operation.Action.SKIP, act)


def _skip_parked(name: str, position: int, by: str, reason: str) -> ActionResult:
    handled, left = actions.skip(name, position, by=by, reason=reason)
    return ActionResult(
        f"Projection {name}: position {position} skipped; {handled} behind it handled, {left} still parked.",
        left == 0,
    )
