"""The projections in the admin: how they are, what can be done to them, and what was done."""

from collections.abc import Callable
from functools import partial

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second
from projections import operations, status
from projections.exceptions import ProjectionError
from projections.models import Build, Heartbeat, Operation, ParkedEvent, ProjectionState

MAY_OPERATE = "projections.operate_projections"


class ReasonForm(ActionForm):
    """The bar with the actions, and a field for the reason, which goes into the record."""

    reason = forms.CharField(required=False, max_length=1000, label="Reason:")


class OperatingAdmin(BrowsingAdmin):
    """A list whose rows can be operated on, by those who may; each act is recorded with who did it and why."""

    action_form = ReasonForm

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_OPERATE)

    def _operate(self, request: HttpRequest, act: Callable[[str, str], str]) -> None:
        """Do `act(by, reason)`, and show what it says, or why it was refused."""
        try:
            messages.success(request, act(request.user.get_username(), request.POST.get("reason", "")))
        except ProjectionError as error:
            messages.error(request, str(error))


class ProjectionAdmin(OperatingAdmin):
    list_display = ["name", "mode", "state", "position", "lag", "rate", "parked", "last_error"]
    ordering = ["name"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]  # Django's own default
    actions = ["pause", "resume", "rebuild", "retry"]
    fields = ["name", "mode", "version", "state", "position", "lag", "rate", "parked_events", "last_error", "start"]

    def _report(self, projection: ProjectionState) -> status.Report:
        """Return how it is; asked for once a row, because it takes a few queries."""
        if not hasattr(projection, "report"):
            projection.report = status.report(projection.name)  # type: ignore[attr-defined]
        found: status.Report = projection.report  # type: ignore[attr-defined]
        return found

    @admin.display(description="status")
    def state(self, projection: ProjectionState) -> SafeString:
        found = self._report(projection)
        done = "" if found.rebuild is None else f" {found.rebuild:.0%}"
        return format_html('<span title="{}">{}{}</span>', found.status_reason, found.status, done)

    @admin.display
    def position(self, projection: ProjectionState) -> int:
        return self._report(projection).position

    @admin.display
    def lag(self, projection: ProjectionState) -> str:
        found = self._report(projection)
        more = "+" if found.lag_events >= status.MAX_COUNTED_LAG else ""
        return f"{found.lag_events:,}{more} events, {found.lag_seconds:,.0f} s" if found.lag_events else "–"

    @admin.display(description="events/s")
    def rate(self, projection: ProjectionState) -> str:
        return f"{self._report(projection).rate:,.0f}"

    @admin.display
    def parked(self, projection: ProjectionState) -> SafeString | str:
        if not (count := self._report(projection).parked):
            return "–"
        url = reverse("admin:projections_parkedevent_changelist")
        return format_html('<a href="{}?projection__name__exact={}">{}</a>', url, projection.name, count)

    @admin.display(description="parked")
    def parked_events(self, projection: ProjectionState) -> SafeString | str:
        return self.parked(projection)

    @admin.display(description="last error")
    def last_error(self, projection: ProjectionState) -> str:
        found = self._report(projection)
        waits = f" (attempt {found.attempts})" if found.attempts else ""
        return f"{found.last_error}{waits}" if found.last_error else "–"

    @admin.display(description="begins after position")
    def start(self, projection: ProjectionState) -> int:
        return projection.start_position

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, operations.pause, "is paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, operations.resume, "runs again")

    @admin.action(description="Rebuild, while the old rows are served", permissions=["operate"])
    def rebuild(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, operations.ask_for_rebuild, "will be rebuilt by the next worker")

    @admin.action(description="Retry parked events", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        for projection in queryset:
            self._operate(request, partial(_retried, projection.name, None))

    def _each(self, request: HttpRequest, queryset: QuerySet, act: Callable[..., None], done: str) -> None:
        for projection in queryset:

            def operate(by: str, reason: str, name: str = projection.name) -> str:
                act(name, by=by, reason=reason)
                return f"Projection {name} {done}."

            self._operate(request, operate)


class ParkedEventAdmin(OperatingAdmin):
    list_display = ["position", "projection", "aggregate", "type", "problem", "attempts", "parked"]
    list_filter = ["projection"]
    ordering = ["position"]
    actions = ["retry", "skip"]
    fields = ["projection", "position", "aggregate", "type", "problem", "attempts", "parked", "error_traceback"]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).filter(build=Build.LIVE)

    @admin.display
    def aggregate(self, event: ParkedEvent) -> SafeString:
        url = reverse("admin:events_aggregate_change", args=[quote(event.aggregate_id)])
        return format_html('<a href="{}">{}</a>', url, event.aggregate_id)

    @admin.display(description="error")
    def problem(self, event: ParkedEvent) -> str:
        return event.error or "waits behind an earlier one"

    @admin.display(description="parked at")
    def parked(self, event: ParkedEvent) -> SafeString:
        return to_the_second(event.parked_at)

    @admin.display(description="traceback")
    def error_traceback(self, event: ParkedEvent) -> SafeString:
        return format_html('<pre class="event-json">{}</pre>', event.traceback or "–")

    @admin.action(description="Retry their aggregates", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        for name, aggregate_id in dict.fromkeys(queryset.values_list("projection", "aggregate_id")):
            self._operate(request, partial(_retried, name, aggregate_id))

    @admin.action(description="Skip (give up; needs a reason)", permissions=["operate"])
    def skip(self, request: HttpRequest, queryset: QuerySet) -> None:
        for name, position in queryset.values_list("projection", "position"):

            def operate(by: str, reason: str, name: str = name, position: int = position) -> str:
                handled, left = operations.skip(name, position, by=by, reason=reason)
                return (
                    f"Projection {name}: position {position} skipped; {handled} behind it handled, {left} still parked."
                )

            self._operate(request, operate)


class HeartbeatAdmin(BrowsingAdmin):
    list_display = ["worker", "projections", "doing", "events", "started", "seen"]
    ordering = ["started_at"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]

    @admin.display
    def worker(self, heartbeat: Heartbeat) -> str:
        return str(heartbeat)

    @admin.display
    def started(self, heartbeat: Heartbeat) -> SafeString:
        return to_the_second(heartbeat.started_at)

    @admin.display(description="last seen")
    def seen(self, heartbeat: Heartbeat) -> str:
        return f"{(timezone.now() - heartbeat.seen_at).total_seconds():,.0f} s ago"


class OperationAdmin(BrowsingAdmin):
    list_display = ["when", "projection", "action", "by", "reason", "aggregate_id", "position", "outcome"]
    list_filter = ["projection", "action"]
    ordering = ["-at"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]

    @admin.display(description="at")
    def when(self, operation: Operation) -> SafeString:
        return to_the_second(operation.at)


def _retried(name: str, aggregate_id: str | None, by: str, reason: str) -> str:
    handled, left = operations.retry(name, by=by, reason=reason, aggregate_id=aggregate_id)
    of = f" of {aggregate_id}" if aggregate_id else ""
    return f"Projection {name}: {handled} parked events{of} handled, {left} still parked."
