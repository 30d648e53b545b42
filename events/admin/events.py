"""Events in the admin: a list, one event, and the form that appends one."""

from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db import router
from django.db.models import QuerySet, TextField
from django.db.models.functions import Cast, Left
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events import access
from events.exceptions import EventStoreError, VersionConflict
from events.models import Aggregate, Event, EventQuerySet
from events.reader import known_types
from events.store import EventStore
from events.types import NewEvent, category_of

from .browsing import CategorizedAdmin, CategoryFilter, DistinctValuesFilter, json_block, to_the_second, without_nul
from .forms import AppendForm

SUMMARY_CHARACTERS = 90


class TypeFilter(DistinctValuesFilter):
    parameter_name = "type"

    def values(self, readable: access.Categories, using: str) -> list[str]:
        return known_types(readable.names, using)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.of_types(self.value()) if self.value() is not None else None


class EventAdmin(CategorizedAdmin):
    list_display = ["position", "aggregate_link", "version", "type", "happened", "summary"]
    list_filter = [TypeFilter, CategoryFilter, "recorded_at"]
    ordering = ["-position"]
    search_help_text = "The beginning of an aggregate id, or an event id"
    fields = [
        "aggregate_link",
        "version",
        "type",
        "data_block",
        "metadata_block",
        "happened",
        "recorded",
        "event_id",
        "position",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        # A large event need not be fetched for the line that sums it up.
        events = super().get_queryset(request)
        if request.resolver_match and request.resolver_match.url_name == "events_event_changelist":
            events = events.defer("data", "metadata").annotate(
                data_start=Left(Cast("data", TextField()), SUMMARY_CHARACTERS + 1)
            )
        return events

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        try:
            return queryset.filter(event_id=UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    @admin.display(description="aggregate")
    def aggregate_link(self, event: Event) -> SafeString:
        return format_html('<a href="{}">{}</a>', _history_url(event.aggregate_id), event.aggregate_id)

    @admin.display(description="timestamp")
    def happened(self, event: Event) -> SafeString:
        return to_the_second(event.timestamp)

    @admin.display(description="recorded at")
    def recorded(self, event: Event) -> SafeString:
        return to_the_second(event.recorded_at)

    @admin.display(description="data")
    def summary(self, event: Event) -> SafeString:
        text: str = event.data_start  # type: ignore[attr-defined]  # annotated above
        short = f"{text[:SUMMARY_CHARACTERS]}…" if len(text) > SUMMARY_CHARACTERS else text
        return format_html('<span class="event-summary">{}</span>', short)

    @admin.display(description="data")
    def data_block(self, event: Event) -> SafeString:
        return json_block(event.data)

    @admin.display(description="metadata")
    def metadata_block(self, event: Event) -> SafeString:
        return json_block(event.metadata)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(access.appendable(request.user))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the form that appends an event, and append it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            form = AppendForm(request.POST)
            if form.is_valid() and (event := self._append(request, form)):
                self.log_addition(request, event, [{"added": {}}])
                messages.success(request, f"{event.type} is version {event.version} of {event.aggregate_id}.")
                return HttpResponseRedirect(_history_url(event.aggregate_id))
        else:
            form = AppendForm(initial=self._initial(request))
        context = {
            **self.admin_site.each_context(request),
            "title": "Append an event",
            "opts": self.opts,
            "form": form,
            "media": self.media + form.media,
            "types": known_types(self.readable(request).names, self._store().using),
            "expected_version": form["expected_version"].value(),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/events/event/append.html", context)

    def _store(self) -> EventStore:
        return EventStore(router.db_for_write(Event))

    def _initial(self, request: HttpRequest) -> dict[str, Any]:
        aggregate_id = without_nul(request.GET.get("aggregate_id", ""))
        allowed = Aggregate.objects.using(self._store().using).within(access.appendable(request.user).names)
        aggregate = allowed.filter(aggregate_id=aggregate_id).first()
        return {
            "aggregate_id": aggregate_id,
            "data": "{}",
            "expected_version": aggregate.version if aggregate else 0,
            "event_id": NewEvent("", "").event_id,
        }

    def _append(self, request: HttpRequest, form: AppendForm) -> Event | None:
        """Append the event of a valid form; None when that has to be asked again, with the reason in the form."""
        event, expected, store = form.new_event(), form.cleaned_data["expected_version"], self._store()
        if not access.appendable(request.user).holds(event.aggregate_id):
            form.add_error("aggregate_id", f"You may not append to the category {category_of(event.aggregate_id)!r}.")
            return None
        try:
            return store.dispatch(event, expected_version=expected)[0]
        except VersionConflict as conflict:
            if conflict.aggregate_id != event.aggregate_id:  # a handler's own dispatch: not for this form to decide
                form.add_error(None, f"Nothing was stored: {conflict}.")
                return None
            between = []
            if access.readable(request.user).holds(event.aggregate_id):
                between = store.get_events_for_aggregate(
                    event.aggregate_id, after_version=expected, up_to_version=conflict.actual, limit=20
                )
            form.add_error(None, _moved_on(conflict, between))
            # Sending it again is then a decision made in knowledge of what came between.
            form.expect(conflict.actual)
        except EventStoreError as error:
            form.add_error(None, f"Nothing was stored: {error}.")
        return None


def _moved_on(conflict: VersionConflict, between: list[Event]) -> str:
    if not between:
        return f"Nothing was stored: {conflict}. Press Append again to append to it as it is."
    came = ", ".join(f"{event.version} {event.type}" for event in between)
    if conflict.expected == 0:
        return (
            f"Nothing was stored: {conflict.aggregate_id} exists already, at version {conflict.actual} ({came})."
            " Press Append again to append to it."
        )
    return (
        f"Nothing was stored: {conflict.aggregate_id} was at version {conflict.expected} when you opened this form, and"
        f" is at {conflict.actual} now. In between: {came}. Press Append again to append after them."
    )


def _history_url(aggregate_id: str) -> str:
    return reverse("admin:events_aggregate_change", args=[quote(aggregate_id)])
