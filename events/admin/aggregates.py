"""Aggregates in the admin: a list, and one aggregate's history as a timeline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from events import authorization
from events.models import Aggregate
from events.routing import database
from events.storage import reader, rows
from events.types import category_of

from . import timeline
from .browsing import CategorizedAdmin, to_the_second
from .filters import CategoryFilter
from .links import event_list_url, page_url

PAGE_EVENTS = 50


@dataclass(frozen=True)
class AggregateAction:
    """Actions of another app on an aggregate: links on its page, and the page that each of them leads to.

    Attributes:
        route: the part of the addresses that all of them have, such as `commands`.
        name: the name of the addresses, such as `events_aggregate_command`.
        offered: returns the name and the title of each action that a request may take on an aggregate.
        view: returns the page for the admin of the aggregates, a request, the aggregate id and the name of an action.
    """

    route: str
    name: str
    offered: Callable[[HttpRequest, str], list[tuple[str, str]]]
    view: Callable[[Any, HttpRequest, str, str], HttpResponse]


class AggregateAdmin(CategorizedAdmin):
    actions_of_others: ClassVar[list[AggregateAction]] = []
    list_display = ["aggregate_id", "category", "version", "first_stored", "last_stored"]
    list_filter = [CategoryFilter]
    # The order of the index, so that several categories can be read without the categories in between.
    ordering = ["category", "aggregate_id"]
    page_template = "admin/events/aggregate/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        return [*map(self._address, self.actions_of_others), *super().get_urls()]

    def _address(self, action: AggregateAction) -> URLPattern:
        def page(request: HttpRequest, quoted_id: str, name: str) -> HttpResponse:
            return action.view(self, request, unquote(quoted_id), name)

        return path(f"<path:quoted_id>/{action.route}/<str:name>/", self.admin_site.admin_view(page), name=action.name)

    def get_search_results(self, request: HttpRequest, queryset: QuerySet, search_term: str) -> tuple[QuerySet, bool]:
        """Search by prefix and by the category in the prefix, because the index begins with the category."""
        prefix = self.searched_prefix(request, search_term)
        category = "category" if "-" in prefix else "category__startswith"
        found, _ = super().get_search_results(request, queryset, search_term)
        return (found.filter(**{category: category_of(prefix)}) if prefix else found), False

    @admin.display(description="first stored")
    def first_stored(self, aggregate: Aggregate) -> SafeString:
        return to_the_second(aggregate.created_at)

    @admin.display(description="last stored")
    def last_stored(self, aggregate: Aggregate) -> SafeString:
        return to_the_second(aggregate.updated_at)

    def page_context(self, request: HttpRequest, row: Aggregate) -> dict[str, Any]:
        """Return a page of the history of the aggregate, for users who may read its events.

        Raises:
            PermissionDenied: the user may not.
        """
        if not authorization.readable(request.user).contains(row.aggregate_id):
            raise PermissionDenied
        return {
            "aggregate": row,
            "search_url": event_list_url(self.admin_site.name, aggregate_id=row.aggregate_id, **{"in": "data"}),
            "append_url": self._append_url(request, row.aggregate_id),
            "actions": self._actions(request, row.aggregate_id),
            **self._timeline(request, row),
        }

    def _actions(self, request: HttpRequest, aggregate_id: str) -> list[tuple[str, str]]:
        """Return the addresses and the titles of the actions of other apps."""
        site = self.admin_site.name
        return [
            (page_url(site, action.name, aggregate_id, name), title)
            for action in self.actions_of_others
            for name, title in action.offered(request, aggregate_id)
        ]

    def _append_url(self, request: HttpRequest, aggregate_id: str) -> str:
        may_append = authorization.appendable_in_admin(request.user).contains(aggregate_id)
        return page_url(self.admin_site.name, "events_event_add", aggregate_id=aggregate_id) if may_append else ""

    def _timeline(self, request: HttpRequest, aggregate: Aggregate) -> dict[str, Any]:
        """Return a page of the history, newest first, and the first versions of the pages before and after it."""
        try:
            newest = max(1, min(int(request.GET["up_to_version"]), aggregate.version))
        except (KeyError, ValueError):
            newest = aggregate.version
        using = aggregate._state.db or database()
        history = reader.history(aggregate.aggregate_id, up_to_version=newest, reverse=True, using=using)
        page = rows.fetch_page(history, PAGE_EVENTS)
        earlier = timeline.earlier_of_same_types(page)
        entries = timeline.entries(page, earlier, authorization.readable(request.user).names, self.admin_site.name)
        timeline.drop_json([*page, *earlier])
        return {
            "entries": entries,
            "newest": newest,
            "newer": min(newest + PAGE_EVENTS, aggregate.version) if newest < aggregate.version else None,
            "older": page[-1].version - 1 if page else None,
        }
