"""Events in the admin: the list, and the page of one event."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import authorization
from events.models import Event
from events.routing import database
from events.storage import rows
from events.visible import escaped, visible

from . import exporting, flow, json_tree, timeline
from .appending import AppendView, suggestions
from .browsing import CategorizedAdmin, to_the_second
from .filters import AggregateFilter, CategoryFilter, CorrelationFilter, RecordedFilter, TypeFilter
from .links import clipped, event_url, flow_url, history_url, page_url
from .paging import EventChangeList, is_search_in_data

SUMMARY_CHARACTERS = 90
PAGE_VALUES = 3000


@dataclass(frozen=True)
class MorePage:
    """A page of another app beside the list of events.

    Attributes:
        route: its address below that of the list, such as `types/`.
        name: the name of the address, such as `events_event_types`.
        title: the text of the link to it.
        view: returns the page for the admin of the events and a request of a user who may read all events.
    """

    route: str
    name: str
    title: str
    view: Callable[[Any, HttpRequest], HttpResponse]


class EventAdmin(CategorizedAdmin):
    more_pages: ClassVar[list[MorePage]] = []
    notes: ClassVar[list[flow.Notes]] = []
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
        return exporting.ExportedList if _is_page(request, "export") else EventChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        events: Any = super().get_queryset(request)
        if _is_page(request, "export"):
            return events  # type: ignore[no-any-return]
        # Only the beginning of large data is fetched, for the summary of the list.
        events = events.headings()
        if _is_page(request, "changelist"):
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
        return clipped(
            page_url(self.admin_site.name, "events_aggregate_change", event.aggregate_id), event.aggregate_id
        )

    @admin.display(description="timestamp")
    def happened(self, event: Event) -> SafeString:
        return to_the_second(event.happened)  # type: ignore[attr-defined]  # annotated above

    @admin.display(description="data")
    def summary(self, event: Event) -> SafeString:
        text: str = event.data_start  # type: ignore[attr-defined]  # annotated above
        short = f"{text[:SUMMARY_CHARACTERS]}…" if len(text) > SUMMARY_CHARACTERS else text
        return format_html('<span class="event-summary" dir="ltr">{}</span>', escaped(short))

    def get_urls(self) -> list[URLPattern]:
        suggest = self.admin_site.admin_view(lambda request: suggestions(self, request))
        return [
            path("add/suggestions/", suggest, name="events_event_suggestions"),
            path("flow/", self.admin_site.admin_view(self.flow_view), name="events_event_flow"),
            path("export/<str:file_format>/", self.admin_site.admin_view(self.export_view), name="events_event_export"),
            *[
                path(each.route, self.admin_site.admin_view(self._guarded(each.view)), name=each.name)
                for each in self.more_pages
            ],
            *super().get_urls(),
        ]

    def _guarded(self, view: Callable[[Any, HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
        def guarded(request: HttpRequest) -> HttpResponse:
            if not self._may_see_more(request):
                raise PermissionDenied
            return view(self, request)

        return guarded

    def _may_see_more(self, request: HttpRequest) -> bool:
        return authorization.readable(request.user).names is None

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        more = self.more_pages if self._may_see_more(request) else []
        links = [(page_url(self.admin_site.name, each.name), each.title) for each in more]
        return super().changelist_view(request, {"more_pages": links, **(extra_context or {})})

    def export_view(self, request: HttpRequest, file_format: str) -> HttpResponseBase:
        """Return the events of the filtered list as a file.

        Raises:
            PermissionDenied: the user may not read any events.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        return exporting.respond(request, self, file_format)

    def flow_view(self, request: HttpRequest) -> HttpResponse:
        """Show the events with the same correlation id."""
        return flow.page(self, request, self.notes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(authorization.appendable_in_admin(request.user))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form that appends an event, or append the event."""
        return AppendView(self, request, self.append_template, extra_context or {}).respond()

    def page_context(self, request: HttpRequest, row: Event) -> dict[str, Any]:
        """Return an event with its changes and what it has caused."""
        readable, using = self.readable(request), row._state.db or database()
        neighbours = Event.objects.using(using).of_aggregate(row.aggregate_id).headings()
        around = {each.version: each for each in neighbours.filter(version__in=[row.version - 1, row.version + 1])}
        last_of_type = timeline.last_versions(row, {row.type})
        both = (
            Event.objects.using(using).of_aggregate(row.aggregate_id).filter(version__in=[row.version, *last_of_type])
        )
        # If the earlier event does not fit on a page with this one, it is not compared.
        event, *earlier = rows.fetch_page(both.order_by("-version"), 2)
        (entry,) = timeline.entries([event], earlier, readable.names, self.admin_site.name, PAGE_VALUES)
        effects = flow.effects(event, readable.names)
        correlation_id, site = flow.correlation_of(event), self.admin_site.name
        data_text = json_tree.block(event.readable_data) if event.readable_data is not None else _stored_text(row)
        stored_text = json_tree.block(event.stored_data) if event._stored and event.stored_data is not None else ""
        timeline.drop_json([event, *earlier])
        in_history = history_url(request, event.aggregate_id)
        return {
            "title": visible(event.type),
            "subtitle": f"version {event.version} of {visible(event.aggregate_id)}",
            "event": event,
            "entry": entry,
            "previous": around.get(event.version - 1),
            "too_large_to_compare": None if earlier else max(last_of_type, default=None),
            "following": around.get(event.version + 1),
            "data_text": data_text,
            "stored_text": stored_text,
            "history_url": f"{in_history}?up_to_version={event.version}" if in_history else "",
            "effects": [(each, event_url(site, each.position)) for each in effects[: flow.DIRECT_EFFECTS]],
            "has_more_effects": len(effects) > flow.DIRECT_EFFECTS,
            "notes": flow.notes_on(self.notes, request, [event])[event.position],
            "flow_url": flow_url(site, correlation_id) if effects or correlation_id != str(event.event_id) else "",
        }


def _is_page(request: HttpRequest, name: str) -> bool:
    return bool(request.resolver_match and request.resolver_match.url_name == f"events_event_{name}")


def _stored_text(event: Event) -> SafeString:
    """Return data that Python cannot represent as the database writes it."""
    stored = Event.objects.using(event._state.db).filter(pk=event.pk)
    text = stored.annotate(data_text=Cast("data", TextField())).values_list("data_text", flat=True).get()
    return json_tree.text_block(text)
