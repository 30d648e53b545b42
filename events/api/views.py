"""The HTTP interface: parse, one call, answer."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from django.db import router
from django.db.models import QuerySet
from django.http import Http404
from django.utils.functional import cached_property
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param
from rest_framework.views import APIView

from events import reader
from events.exceptions import InvalidEvent
from events.interchange import event_as_dict, new_event_from_dict
from events.models import Aggregate, Event
from events.store import EventStore
from events.types import NewEvent
from events.validation import check_name

from . import parameters
from .errors import response_for
from .filters import EventFilter
from .parsers import BoundedJSONParser
from .permissions import ModelPermissions


class StoreView(APIView):
    """What all views share: model permissions, strict parameters, and domain errors as answers."""

    permission_classes = [ModelPermissions]
    parser_classes = [BoundedJSONParser]
    queryset: QuerySet = Event.objects.none()
    parameters: Sequence[str] = ()
    repeatable: Sequence[str] = ()

    @cached_property
    def store(self) -> EventStore:
        return EventStore(router.db_for_write(Event))

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        parameters.check(request, self.parameters if request.method != "POST" else (), self.repeatable)
        if "aggregate_id" in kwargs:
            check_name("aggregate_id", kwargs["aggregate_id"])
            if "\ufffd" in kwargs["aggregate_id"]:  # what Django makes of bytes that it cannot decode
                raise InvalidEvent("aggregate_id", "is not UTF-8 in the address; percent-encode it in UTF-8")

    def handle_exception(self, exc: Exception) -> Response:
        return response_for(exc) or super().handle_exception(exc)

    def link(self, **changes: Any) -> str:
        """Return the address of this request with some parameters changed."""
        url = self.request.build_absolute_uri()
        for name, value in changes.items():
            url = replace_query_param(url, name, value)
        return url


class PageByAggregateId(StoreView):
    """Rows that are keyed by aggregate id, in its order, a page at a time."""

    parameters: Sequence[str] = ("after", "starts_with", "limit")
    entries = ""

    def page(self, rows: QuerySet, as_dict: Callable[[Any], dict[str, Any]]) -> Response:
        limit = parameters.limit(self.request)
        rows = rows.using(self.store.using).order_by("aggregate_id")
        if after := self.request.query_params.get("after"):
            rows = rows.filter(aggregate_id__gt=after)
        if prefix := self.request.query_params.get("starts_with"):
            rows = rows.filter(aggregate_id__startswith=prefix)
        found = list(rows[: limit + 1])
        return Response(
            {
                self.entries: [as_dict(row) for row in found[:limit]],
                "next": self.link(after=found[limit - 1].aggregate_id) if len(found) > limit else None,
            }
        )


class AggregateList(PageByAggregateId):
    """Aggregates by id, a page at a time."""

    queryset = Aggregate.objects.none()
    parameters = (*PageByAggregateId.parameters, "category")
    entries = "aggregates"

    def get(self, request: Request) -> Response:
        aggregates = Aggregate.objects.all()
        if category := request.query_params.get("category"):
            aggregates = aggregates.in_category(category)
        return self.page(aggregates, aggregate_as_dict)


class AggregateDetail(StoreView):
    """One aggregate, without its events."""

    queryset = Aggregate.objects.none()

    def get(self, request: Request, aggregate_id: str) -> Response:
        aggregate = Aggregate.objects.using(self.store.using).filter(aggregate_id=aggregate_id).first()
        if aggregate is None:
            raise Http404(f"There is no aggregate {aggregate_id!r}")
        return Response(aggregate_as_dict(aggregate))


class AggregateEvents(StoreView):
    """The history of one aggregate: read it, append to it. One without events has version 0."""

    parameters = ("after_version", "up_to_version", "as_of", "reverse", "limit")

    def get(self, request: Request, aggregate_id: str) -> Response:
        limit, reverse = parameters.limit(request), parameters.flag(request, "reverse")
        # Before the events: a client that takes the version for its expectation has then seen all events up to it.
        version = self._version(aggregate_id)
        events = self.store.get_events_for_aggregate(
            aggregate_id,
            after_version=parameters.integer(request, "after_version", 0),
            up_to_version=parameters.integer(request, "up_to_version", None),
            as_of=parameters.moment_or_none(request, "as_of"),
            reverse=reverse,
            limit=limit + 1,
        )
        following = None
        if len(events) > limit:
            last = events[limit - 1].version
            following = self.link(up_to_version=last - 1) if reverse else self.link(after_version=last)
        return Response(
            {
                "aggregate_id": aggregate_id,
                "version": version,
                "events": [event_as_dict(event) for event in events[:limit]],
                "next": following,
            }
        )

    def post(self, request: Request, aggregate_id: str) -> Response:
        envelope = request.data if isinstance(request.data, dict) else {"events": request.data}
        expected = parameters.expected_version(request, envelope)
        events = self.store.dispatch(*_new_events(aggregate_id, envelope), expected_version={aggregate_id: expected})
        return Response(
            {
                "aggregate_id": aggregate_id,
                "version": events[-1].version if events else self._version(aggregate_id),
                "position": events[-1].position if events else None,
                "events": [event_as_dict(event) for event in events],
            },
            status=201 if events else 200,
        )

    def _version(self, aggregate_id: str) -> int:
        versions = Aggregate.objects.using(self.store.using).filter(aggregate_id=aggregate_id)
        return versions.values_list("version", flat=True).first() or 0


class EventList(StoreView):
    """The events of the whole store by position, up to the settled position: whoever follows it misses none."""

    paging = ("after", "up_to", "reverse", "limit")
    parameters = (*paging, *EventFilter.base_filters)
    repeatable = EventFilter.repeatable

    def get(self, request: Request) -> Response:
        limit, reverse = parameters.limit(request), parameters.flag(request, "reverse")
        after = parameters.integer(request, "after", 0)
        up_to = min(parameters.integer(request, "up_to", parameters.MAX_BIGINT), self.store.settled_position())
        query = request.query_params.copy()
        for name in EventFilter.moments:
            if moment := parameters.moment_or_none(request, name):
                query[name] = moment.isoformat()
        chosen = EventFilter(query, queryset=Event.objects.using(self.store.using)).chosen()
        events = [
            event
            for page in reader.pages(chosen, after=after, up_to=up_to, reverse=reverse, limit=limit + 1)
            for event in page
        ]
        page, more = events[:limit], len(events) > limit
        following = None
        if more:
            last = page[-1].position
            following = self.link(up_to=last - 1) if reverse else self.link(after=last)
        return Response(
            {
                "events": [event_as_dict(event) for event in page],
                "next": following,
                # Where to go on (`after`) once the last page is read, though the filter may have matched nothing.
                "checkpoint": None if reverse else page[-1].position if more else max(after, up_to),
            }
        )


class EventDetail(StoreView):
    """One event by its id."""

    def get(self, request: Request, event_id: UUID) -> Response:
        event = Event.objects.using(self.store.using).filter(event_id=event_id).first()
        if event is None:
            raise Http404(f"There is no event {event_id}")
        return Response(event_as_dict(event))


def aggregate_as_dict(aggregate: Aggregate) -> dict[str, Any]:
    return {
        "aggregate_id": aggregate.aggregate_id,
        "category": aggregate.category,
        "version": aggregate.version,
        "created_at": aggregate.created_at.isoformat(),
        "updated_at": aggregate.updated_at.isoformat(),
    }


def _new_events(aggregate_id: str, envelope: dict[str, Any]) -> list[NewEvent]:
    """Return the events of a request: those listed under `events`, or the one that the body itself is."""
    content = {name: value for name, value in envelope.items() if name != "expected_version"}
    if "events" not in content:
        return [_new_event(aggregate_id, content, 0)]
    if len(content) > 1:
        raise InvalidEvent("events", "stands beside other fields; put each event's fields into the list")
    if not isinstance(content["events"], list):
        raise InvalidEvent("events", "must be a list of events")
    return [_new_event(aggregate_id, item, index) for index, item in enumerate(content["events"])]


def _new_event(aggregate_id: str, content: Any, index: int) -> NewEvent:
    try:
        return new_event_from_dict(content, aggregate_id=aggregate_id)
    except InvalidEvent as error:
        raise InvalidEvent(error.field, error.reason, index) from None
