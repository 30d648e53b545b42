"""The page that appends an event after a version; on a conflict it shows the new events and asks again."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse

from events import authorization, client_errors
from events.context import enforced
from events.exceptions import EventStoreError, VersionConflict
from events.jsonb import pretty
from events.models import Aggregate
from events.routing import database
from events.storage import reader, rows
from events.store import DispatchResult, EventStore
from events.types import NewEvent, category_of
from events.visible import visible

from . import timeline
from .browsing import CategorizedAdmin, without_nul
from .forms import AppendForm
from .links import event_list_url, history_url
from .suggestions import types_to_append

SUGGESTED_AGGREGATES = 10
SHOWN_BETWEEN = 20


@dataclass(frozen=True)
class ConflictReport:
    """The events that were appended between opening and sending the form.

    Attributes:
        error: the error with the versions.
        entries: the events, newest first; none if the user may not read them.
        more: the number of events that are not shown.
    """

    error: VersionConflict
    entries: list[timeline.Entry]
    more: int


class AppendView:
    """The view of a request of the form."""

    def __init__(
        self, model_admin: CategorizedAdmin, request: HttpRequest, template: str, extra_context: dict[str, Any]
    ) -> None:
        self._admin, self._request = model_admin, request
        self._template, self._extra_context = template, extra_context
        self._store = EventStore()
        self._conflict: ConflictReport | None = None

    def respond(self) -> HttpResponse:
        """Return the form, or append the event and redirect to its aggregate.

        Raises:
            PermissionDenied: the user may not append to any category.
        """
        if not self._admin.has_add_permission(self._request):
            raise PermissionDenied
        if self._request.method == "POST":
            form = AppendForm(self._request.POST)
            if "show_fields" in self._request.POST:
                return self._page(form.shown_again())
            if form.is_valid() and (stored := self._append(form)):
                return self._appended(stored)
        else:
            form = AppendForm(initial=self._initial())
        return self._page(form)

    def _append(self, form: AppendForm) -> DispatchResult | None:
        """Append the event of a valid form; return None if it was rejected, with the reason in the form."""
        event, expected = form.new_event(), form.cleaned_data["expected_version"]
        if not authorization.appendable(self._request.user).contains(event.aggregate_id):
            form.add_error(
                "aggregate_id", f"You may not append to the category '{visible(category_of(event.aggregate_id))}'."
            )
            return None
        if not authorization.may_be_sent(event.type):
            form.add_error(
                "type",
                "This event type is not registered. Only registered types may be appended (EVENTS_APPEND_OVER_HTTP).",
            )
            return None
        try:
            with client_errors.shown(self._request.user, named=[event.aggregate_id]):
                return self._store.dispatch(*enforced([event]), expected_version=expected)
        except VersionConflict as conflict:
            self._conflict = self._report(conflict, expected)
            form.add_error(None, _conflict_message(conflict))
            # The user sees the new events before sending the form again.
            form.expect(conflict.actual)
        except EventStoreError as error:
            form.add_error(None, not_stored(error))
        return None

    def _report(self, conflict: VersionConflict, expected: int) -> ConflictReport:
        readable = authorization.readable(self._request.user)
        if not readable.contains(conflict.aggregate_id):
            return ConflictReport(conflict, [], 0)
        history = reader.history(
            conflict.aggregate_id,
            after_version=expected,
            up_to_version=conflict.actual,
            reverse=True,
            using=self._store.using,
        )
        between = rows.fetch_page(history, SHOWN_BETWEEN)
        earlier = timeline.earlier_of_same_types(between)
        more = max(0, conflict.actual - expected - len(between))
        entries = timeline.entries(between, earlier, readable.names, self._admin.admin_site.name)
        timeline.drop_json([*between, *earlier])
        return ConflictReport(conflict, entries, more)

    def _appended(self, stored: DispatchResult) -> HttpResponse:
        (event,) = stored
        description = f"{visible(event.type)} is version {event.version} of {visible(event.aggregate_id)}"
        if stored.is_retry:
            messages.info(self._request, f"{description}. It was already stored when you sent this form before.")
        else:
            self._admin.log_addition(self._request, event, [{"added": {}}])
            messages.success(self._request, f"{description}.")
        return HttpResponseRedirect(history_url(self._request, event.aggregate_id) or self._request.path)

    def _page(self, form: AppendForm) -> HttpResponse:
        aggregate_id = without_nul(str(form["aggregate_id"].value() or ""))
        self._request.current_app = self._admin.admin_site.name  # as Django's views do
        version = str(form["expected_version"].value() or 0)
        expected = int(version[:19]) if version.isdecimal() else 0
        follows = _follows(self._request, aggregate_id, expected, self._store.using)
        history = history_url(self._request, aggregate_id) if version != "0" else ""
        context = {
            **self._admin.admin_site.each_context(self._request),
            "title": "Append an event",
            "opts": self._admin.opts,
            "form": form,
            "media": self._admin.media + form.media,
            "types": types_to_append(self._admin.readable(self._request).names, self._store.using),
            "expected_version": version,
            "follows": follows,
            "conflict": self._conflict,
            "history_url": history,
            "back_url": history or event_list_url(self._admin.admin_site.name),
            **self._extra_context,
        }
        return TemplateResponse(self._request, self._template, context)

    def _initial(self) -> dict[str, Any]:
        aggregate_id = without_nul(self._request.GET.get("aggregate_id", ""))
        return {
            "aggregate_id": aggregate_id,
            "type": without_nul(self._request.GET.get("type", "")),
            "data": "{}",
            "metadata": pretty({timeline.ACTOR_KEYS[0]: self._request.user.get_username()}),
            "expected_version": _version(self._request, aggregate_id, self._store.using),
            "event_id": NewEvent("", "").event_id,
        }


def not_stored(error: EventStoreError) -> str:
    """Return the message of an error because of which nothing was stored."""
    reason = visible(str(error))
    return f"Nothing was stored: {reason}{'' if reason.endswith(('.', '!', '?')) else '.'}"


def suggestions(model_admin: CategorizedAdmin, request: HttpRequest) -> JsonResponse:
    """Return the suggestions for a typed aggregate id: ids with this prefix, and the version of the aggregate.

    The user must have the right to append to the aggregates, and to read the suggested ids.

    Raises:
        PermissionDenied: the user may not append to any category.
    """
    if not model_admin.has_add_permission(request):
        raise PermissionDenied
    prefix, using = without_nul(request.GET.get("aggregate_id", "")), database()
    allowed = Aggregate.objects.using(using).within(authorization.appendable(request.user).names)
    visible = allowed.within(authorization.readable(request.user).names)
    matching = visible.filter(aggregate_id__startswith=prefix).order_by("aggregate_id") if prefix else visible.none()
    version = _version(request, prefix, using)
    return JsonResponse(
        {
            "aggregate_id": prefix,
            "version": version,
            "follows": _follows(request, prefix, version, using),
            "aggregates": list(matching.values_list("aggregate_id", flat=True)[:SUGGESTED_AGGREGATES]),
        }
    )


def _version(request: HttpRequest, aggregate_id: str, using: str) -> int:
    """Return the version of an aggregate; 0 if it does not exist or the user may not append to it."""
    allowed = Aggregate.objects.using(using).within(authorization.appendable(request.user).names)
    return allowed.filter(pk=aggregate_id).values_list("version", flat=True).first() or 0


def _follows(request: HttpRequest, aggregate_id: str, version: int, using: str) -> str:
    """Return what the event of the form will follow, as a sentence; the form expects the aggregate at `version`."""
    if not aggregate_id:
        return "Enter the aggregate to which the event belongs."
    if not authorization.appendable(request.user).contains(aggregate_id):
        return f"You may not append to the category '{visible(category_of(aggregate_id))}'."
    if version:
        return f"The event will follow version {version} of {visible(aggregate_id)}."
    if stored := _version(request, aggregate_id, using):  # typed without JavaScript
        return f"{visible(aggregate_id)} already exists, at version {stored}. The next step shows its events."
    return f"The event will be the first of a new aggregate, {visible(aggregate_id)}."


def _conflict_message(conflict: VersionConflict) -> str:
    if conflict.expected == 0:
        return f"Nothing was stored: {visible(conflict.aggregate_id)} already exists, at version {conflict.actual}."
    if isinstance(conflict.expected, int) and conflict.expected > conflict.actual:
        return f"Nothing was stored: {conflict}."
    return (
        f"Nothing was stored: {visible(conflict.aggregate_id)} was at version {conflict.expected} when you opened this"
        f" form, and is now at {conflict.actual}."
    )
