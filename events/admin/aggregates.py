"""Aggregates in the admin: a list, and one aggregate's history as a timeline."""

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from events import access
from events.jsontext import pretty
from events.models import Aggregate, Event
from events.store import EventStore

from .browsing import CategorizedAdmin, CategoryFilter, to_the_second

PAGE_EVENTS = 50


class AggregateAdmin(CategorizedAdmin):
    list_display = ["aggregate_id", "category", "version", "first_stored", "last_stored"]
    list_filter = [CategoryFilter]

    @admin.display(description="first stored")
    def first_stored(self, aggregate: Aggregate) -> SafeString:
        return to_the_second(aggregate.created_at)

    @admin.display(description="last stored")
    def last_stored(self, aggregate: Aggregate) -> SafeString:
        return to_the_second(aggregate.updated_at)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the aggregate's history instead of a form."""
        if not (self.has_view_permission(request) and access.readable(request.user)):
            raise PermissionDenied
        aggregate = self.get_object(request, unquote(object_id))
        if aggregate is None:
            messages.warning(request, f"There is no aggregate {unquote(object_id)!r}.")
            return HttpResponseRedirect(reverse("admin:events_aggregate_changelist"))
        if not access.readable(request.user).holds(aggregate.aggregate_id):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": aggregate.aggregate_id,
            "opts": self.opts,
            "aggregate": aggregate,
            "media": self.media,
            "may_append": access.appendable(request.user).holds(aggregate.aggregate_id),
            **self._timeline(request, aggregate),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/events/aggregate/history.html", context)

    def _timeline(self, request: HttpRequest, aggregate: Aggregate) -> dict[str, Any]:
        """Return one page of the history, newest first, and the versions where its neighbours start."""
        try:
            newest = max(1, min(int(request.GET["up_to_version"]), aggregate.version))
        except (KeyError, ValueError):
            newest = aggregate.version
        store = EventStore(aggregate._state.db or "default")
        events = store.get_events_for_aggregate(
            aggregate.aggregate_id, up_to_version=newest, reverse=True, limit=PAGE_EVENTS
        )
        oldest = events[-1].version if events else 1
        return {
            "timeline": [_entry(event) for event in events],
            "newer": min(newest + PAGE_EVENTS, aggregate.version) if newest < aggregate.version else None,
            "older": oldest - 1 if oldest > 1 else None,
        }


def _entry(event: Event) -> dict[str, Any]:
    return {
        "event": event,
        "data": pretty(event.data) if event.data else "",
        "metadata": pretty(event.metadata) if event.metadata else "",
        "happened_earlier": event.timestamp != event.recorded_at,
    }
