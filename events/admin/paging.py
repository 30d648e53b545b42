"""The list of events, with pages by position, each of which is found in bounded time."""

from typing import Any
from urllib.parse import parse_qsl

from django.contrib import messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest
from django.utils import timezone

from events.models import Aggregate, AggregateQuerySet
from events.monitoring import statistics
from events.plurals import number_of_events
from events.types import MAX_BIGINT

from .browsing import BoundedChangeList, CategorizedAdmin, moment_of
from .links import page_url
from .search import search

BEFORE, AFTER, AT, SEARCH_IN = "before", "after", "at", "in"
IN_DATA = "data"


class EventChangeList(BoundedChangeList):
    """Django's list with pages by position, because page numbers need a count of all events before them.

    Attributes:
        newest, newer, older: the query strings of other pages; None without such a page.
        searched_to: the position at which the search ran out of time; None: it did not.
        further: the query string that continues the search.
        in_data: the query string of a search for the same text in the events' data.
        kept_by_search, kept_by_jump: the hidden fields of the forms above the list.
        at: the position or the time that the user has asked for, as text.
        zone: the name of the time zone of times without one.
        exports: the formats of files of the whole filtered list, each with its URL.
        stored: the number of events in the store, as text; None if the list is filtered.
    """

    model_admin: CategorizedAdmin

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        self.searches_data = is_search_in_data(request)
        self.before, self.after = _position(request, BEFORE), _position(request, AFTER)
        self.at, self.zone = request.GET.get(AT, "").strip(), timezone.get_current_timezone_name()
        super().__init__(request, *args)

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in (BEFORE, AFTER, AT, SEARCH_IN)}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Return the query string of another list or page; without a position, of the newest page."""
        kept = {BEFORE: None, AFTER: None, AT: None} | (new_params or {})
        query: str = super().get_query_string(kept, remove)
        return query

    def get_results(self, request: HttpRequest) -> None:
        events: Any = self.queryset
        if self.at:
            self._jump(request, events.db)
        lowest, beyond = self.positions(events.db)
        found = search(
            events,
            self._aggregates(request, events.db),
            text=self.text_in_data,
            after=max(lowest, self.after or 0),
            before=min((each for each in (beyond, self.before) if each is not None), default=None),
            newest_first=self.after is None,
            limit=self.list_per_page,
        )
        self._name_pages([event.position for event in found.events], found.next)
        self.searched_to = found.next if found.has_timed_out else None
        is_all = not self.query and not self.has_active_filters and self.model_admin.readable(request).names is None
        self.stored = _how_many(statistics.size(events.db)) if is_all else None
        # Attributes that Django's templates need.
        self.result_list = list(found.events)
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.result_list)

    @property
    def text_in_data(self) -> str:
        """The text that the data of the events contains; empty without a search for it."""
        return self.query.strip() if self.searches_data else ""

    def _jump(self, request: HttpRequest, using: str) -> None:
        """Begin the page at the position or the time that the user has asked for."""
        if self.at.isdecimal():
            self.before = min(int(self.at[:20]), statistics.newest_position(using)) + 1
        elif moment := moment_of(self.at):
            self.before = statistics.position_at(moment, using) + 1
        else:
            messages.error(
                request,
                f"{self.at[:100]!r} is neither a position nor a date and time such as 2026-11-23 14:00; the list begins"
                " with the newest event.",
            )

    def positions(self, using: str) -> tuple[int, int | None]:
        """Return the positions between which a filter has all events, both excluded."""
        for spec in self.filter_specs:
            if hasattr(spec, "positions"):
                found: tuple[int, int | None] = spec.positions(using)
                return found
        return 0, None

    def _aggregates(self, request: HttpRequest, using: str) -> AggregateQuerySet | None:
        """Return the aggregates of the events that pass the filters; None for all."""
        aggregates = Aggregate.objects.using(using).within(self.model_admin.readable(request).names)
        for spec in self.filter_specs:
            if hasattr(spec, "of_aggregates"):
                aggregates = spec.of_aggregates(aggregates)
        if prefix := self.model_admin.searched_prefix(request, self.query):
            aggregates = aggregates.filter(aggregate_id__startswith=prefix)
        return aggregates if aggregates.query.has_filters() else None

    def _name_pages(self, positions: list[int], further: int | None) -> None:
        if self.after is None:
            older, newer = further, None
            if self.before is not None:
                newer = positions[0] if positions else self.before - 1
        else:
            older, newer = positions[-1] if positions else self.after + 1, further
        self.older = self.get_query_string({BEFORE: older}) if older is not None else None
        self.newer = self.get_query_string({AFTER: newer}) if newer is not None else None
        is_first = self.before is None and self.after is None
        self.newest = None if is_first else self.get_query_string()
        self.further = self.older if self.after is None else self.newer
        self.in_data = self.get_query_string({SEARCH_IN: IN_DATA})
        self.kept_by_jump = self._kept()
        exports = {
            "CSV": page_url(self.model_admin.admin_site.name, "events_event_export", "csv"),
            "JSON Lines": page_url(self.model_admin.admin_site.name, "events_event_export", "jsonl"),
        }
        has_events = positions or further is not None or not is_first  # the export is of the list, not of the page
        self.exports = {name: url + self.get_query_string() for name, url in exports.items() if url and has_events}
        self.kept_by_search = self._kept(SEARCH_VAR, SEARCH_IN)

    def _kept(self, *removed: str) -> list[tuple[str, str]]:
        """Return the parameters that a form keeps. A category may be empty: that of `-1`."""
        return parse_qsl(self.get_query_string(remove=[*removed]).removeprefix("?"), keep_blank_values=True)


def _how_many(size: statistics.Size) -> str:
    return f"{'about ' if size.is_estimate else ''}{number_of_events(size.events)}"


def is_search_in_data(request: HttpRequest) -> bool:
    """Return whether the search is for text in the events' data."""
    return request.GET.get(SEARCH_IN) == IN_DATA


def _position(request: HttpRequest, name: str) -> int | None:
    """Return a position from the query string; None if it is missing or not a number."""
    try:
        return min(max(int(request.GET[name]), 0), MAX_BIGINT)
    except (KeyError, ValueError):
        return None
