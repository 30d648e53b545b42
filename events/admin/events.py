"""Events in the admin: the list, and the page of one event."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import authorization
from events.models import Event
from events.routing import database
from events.storage import reader, rows

from . import json_tree, timeline
from .appending import AppendView, suggestions
from .browsing import CategorizedAdmin, to_the_second
from .filters import AggregateFilter, CategoryFilter, CorrelationFilter, RecordedFilter, TypeFilter
from .links import history_url, link, page_url
from .paging import EventChangeList, is_search_in_data

SUMMARY_CHARACTERS = 90
PAGE_VALUES = 3000
TRAIL_EVENTS = 50


class EventAdmin(CategorizedAdmin):
    list_display = ["position", "type", "aggregate_link", "version", "happened", "summary"]
    list_filter = [AggregateFilter, RecordedFilter, CategoryFilter, TypeFilter, CorrelationFilter]
    ordering = ["-position"]
    search_help_text = (
        "The beginning of an aggregate id, or a complete event id. Or search for JSON text in the data, with a space"
        ' after each colon and comma, for example "method": "card".'
    )
    page_template = "admin/events/event/change_form.html"
    missing_row = "There is no event at position {key!r}."
    append_template = "admin/events/event/append.html"

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[EventChangeList]:
        return EventChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # Only the beginning of large data is fetched, for the summary of the list.
        events: Any = super().get_queryset(request)
        events = events.headings()
        if request.resolver_match and request.resolver_match.url_name == "events_event_changelist":
            events = events.annotate(data_start=Left(Cast("data", TextField()), SUMMARY_CHARACTERS + 1))
        return events  # type: ignore[no-any-return]

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        if not is_search_in_data(request) and (event_id := timeline.uuid_or_none(search_term.strip())):
            return queryset.filter(event_id=event_id), False
        return super().get_search_results(request, queryset, search_term)

    def searched_prefix(self, request: HttpRequest, search_term: str) -> str:
        if is_search_in_data(request) or timeline.uuid_or_none(search_term.strip()):
            return ""
        return super().searched_prefix(request, search_term)

    @admin.display(description="aggregate")
    def aggregate_link(self, event: Event) -> SafeString:
        return link(page_url(self.admin_site.name, "events_aggregate_change", event.aggregate_id), event.aggregate_id)

    @admin.display(description="timestamp")
    def happened(self, event: Event) -> SafeString:
        return to_the_second(event.happened)  # type: ignore[attr-defined]  # annotated above

    @admin.display(description="data")
    def summary(self, event: Event) -> SafeString:
        text: str = event.data_start  # type: ignore[attr-defined]  # annotated above
        short = f"{text[:SUMMARY_CHARACTERS]}…" if len(text) > SUMMARY_CHARACTERS else text
        return format_html('<span class="event-summary">{}</span>', short)

    def get_urls(self) -> list[URLPattern]:
        suggest = self.admin_site.admin_view(lambda request: suggestions(self, request))
        return [path("add/suggestions/", suggest, name="events_event_suggestions"), *super().get_urls()]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(authorization.appendable(request.user))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form that appends an event, or append the event."""
        return AppendView(self, request, self.append_template, extra_context or {}).respond()

    def page_context(self, request: HttpRequest, row: Event) -> dict[str, Any]:
        """Return an event with its changes and related events."""
        readable, using = self.readable(request), row._state.db or database()
        neighbours = Event.objects.using(using).of_aggregate(row.aggregate_id).headings()
        around = {each.version: each for each in neighbours.filter(version__in=[row.version - 1, row.version + 1])}
        history = reader.history(
            row.aggregate_id, after_version=row.version - 2, up_to_version=row.version, reverse=True, using=using
        )
        # If the event before does not fit on a page with this one, it is not compared.
        event, *before = rows.fetch_page(history, 2)
        entry = timeline.entry(event, next(iter(before), None), readable.names, self.admin_site.name, PAGE_VALUES)
        trail = timeline.trail(event, readable.names, TRAIL_EVENTS + 1)
        data_text = json_tree.block(event.data) if event.data is not None else _stored_text(row)
        timeline.drop_json([event, *before])
        return {
            "title": f"{event.type}, version {event.version} of {event.aggregate_id}",
            "event": event,
            "entry": entry,
            "previous": around.get(event.version - 1),
            "is_too_large_to_compare": event.version > 1 and not before,
            "following": around.get(event.version + 1),
            "data_text": data_text,
            "timestamp": to_the_second(entry.happened),
            "recorded_at": to_the_second(entry.stored),
            "history_url": history_url(request, event.aggregate_id),
            "trail": trail[:TRAIL_EVENTS] if len(trail) > 1 else [],
            "trail_is_truncated": len(trail) > TRAIL_EVENTS,
        }


def _stored_text(event: Event) -> SafeString:
    """Return data that Python cannot represent as the database writes it."""
    stored = Event.objects.using(event._state.db).filter(pk=event.pk)
    text = stored.annotate(data_text=Cast("data", TextField())).values_list("data_text", flat=True).get()
    return json_tree.text_block(text)
