"""The projections in the admin: the board, a page for each projection, and the operations on them."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from events.admin.links import page_url, site_of
from projections.models import Operation, ProjectionState
from projections.operations import actions
from projections.operations.rebuild_size import EVENTS_PER_SECOND

from . import board, parked_aggregates
from .actions import RETRY, SKIP, ActionResult, OperatingAdmin, is_path, retry_parked
from .links import Links
from .operation_log import latest_operations, may_view_operations
from .workers import MAX_WORKERS, may_view_workers, workers

Action = Operation.Action


@admin.register(ProjectionState)
class ProjectionAdmin(OperatingAdmin):
    ordering = ["name"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]  # Django's own default
    actions = ["pause", "resume", "rebuild", "cancel", "keep", "retry"]
    change_list_template = "admin/projections/projectionstate/change_list.html"
    page_template = "admin/projections/projectionstate/change_form.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the board, or do the action that a form has posted."""
        response = super().changelist_view(request, extra_context)
        context = response.context_data if isinstance(response, TemplateResponse) else None
        if context and "cl" in context:  # the board, and not the question before a rebuild
            context |= {"title": "Projections", **self._shared(request), **_board(request)}
        return response

    def page_context(self, request: HttpRequest, row: ProjectionState) -> dict[str, Any]:
        """Return the status, shards, parked events and operations of one projection."""
        return {**self._shared(request), **_page(request, row)}

    @admin.action(description="Pause", permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, Action.PAUSE, actions.pause, "is paused")

    @admin.action(description="Resume", permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, Action.RESUME, actions.resume, "runs again")

    @admin.action(description="Rebuild, while the old rows are served", permissions=["operate"])
    def rebuild(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        if "confirmed" not in request.POST:
            return self._ask(request, queryset)
        done = "will be rebuilt by the next worker"
        self._each(request, queryset, Action.REBUILD, actions.ask_for_rebuild, done)
        return None

    def _ask(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse:
        """Say what a rebuild takes, and ask."""
        names = ", ".join(state.name for state in queryset)
        back = request.POST.get("back", "")
        context = {
            **self.admin_site.each_context(request),
            "title": f"Rebuild {names}?",
            "opts": self.opts,
            "media": self.media,
            "asked": [board.rebuild_of(state) for state in queryset],
            "events_per_second": EVENTS_PER_SECOND,
            "reason": request.POST.get("reason", ""),
            "back": back if is_path(back) else "",
        }
        return TemplateResponse(request, "admin/projections/projectionstate/rebuild.html", context)

    @admin.action(description="Cancel the rebuild", permissions=["operate"])
    def cancel(self, request: HttpRequest, queryset: QuerySet) -> None:
        done = "is no longer rebuilt; its served rows stay"
        self._each(request, queryset, Action.CANCEL, actions.cancel_rebuild, done)

    @admin.action(description="Keep the rows that were there, and start now", permissions=["operate"])
    def keep(self, request: HttpRequest, queryset: QuerySet) -> None:
        self._each(request, queryset, Action.KEEP, actions.keep_rows, "keeps its rows and has started")

    @admin.action(description="Retry parked events", permissions=["operate"])
    def retry(self, request: HttpRequest, queryset: QuerySet) -> None:
        for projection in queryset:
            self._operate(request, projection, Action.RETRY, partial(retry_parked, projection.name, None))

    def _each(
        self, request: HttpRequest, queryset: QuerySet, action: Action, operation: Callable[..., None], done: str
    ) -> None:
        def act(name: str, by: str, reason: str) -> ActionResult:
            operation(name, by=by, reason=reason)
            return ActionResult(f"Projection {name} {done}.")

        for projection in queryset:
            self._operate(request, projection, action, partial(act, projection.name))

    def _shared(self, request: HttpRequest) -> dict[str, Any]:
        """Return the context that the board and the pages of the projections share."""
        return {
            "may_operate": self.has_operate_permission(request),
            "may_view_parked": request.user.has_perm("projections.view_parkedevent"),
        }


def _board(request: HttpRequest) -> dict[str, Any]:
    return {
        "rows": board.rows(site_of(request)),
        "may_view_workers": may_view_workers(request),
        "workers": workers() if may_view_workers(request) else [],
        "max_workers": MAX_WORKERS,
    }


def _page(request: HttpRequest, projection: ProjectionState) -> dict[str, Any]:
    name, site = projection.name, site_of(request)
    groups: list[parked_aggregates.BlockedAggregate] = []
    more = 0
    if request.user.has_perm("projections.view_parkedevent"):
        groups, more = parked_aggregates.of_projection(name, Links(request))
    return {
        "row": board.row(projection, site),
        "shards": board.shards(projection),
        "max_shards": board.MAX_SHARDS,
        "blocked": groups,
        "more_blocked": more,
        "parked_buttons": [RETRY, SKIP],
        "may_view_operations": may_view_operations(request),
        "operations": latest_operations(name) if may_view_operations(request) else [],
        "history_url": page_url(site, "projections_projectionstate_history", name),
    }
