"""The views that open event streams. `events.streaming` has the feed and the protocol."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from events import authorization, decoding
from events.api import parameters, schema, serializers
from events.api.authentication import authenticate_again, user_key
from events.api.base import StoreView, no_content
from events.api.filters import EventFilter
from events.api.negotiation import EventStreamRenderer, FastJSONRenderer
from events.api.problems import Problem
from events.conf import conf
from events.streaming.feed import AnyEvent, Feed
from events.streaming.server_sent_events import Selection, Stream
from events.streaming.threads import release_connections

STREAM_ERRORS = (*schema.READ_ERRORS, 501, 503)
RETRY_AFTER = {"Retry-After": "5"}
IN_TEST_CASE = (
    "Event streams read the database with connections of their own, which do not see the events of a TestCase. Use a"
    " TransactionTestCase, or django_db(transaction=True) with pytest"
)


class EventStream(StoreView):
    """The events of the store as Server-Sent Events: first the history, then each new event, without gaps."""

    renderer_classes = [EventStreamRenderer, FastJSONRenderer]
    parameters: Sequence[OpenApiParameter] = (
        schema.AFTER_OR_NOW,
        *(each for each in EventFilter.parameters() if each.name in ("type", "category", "aggregate_id")),
    )
    throttle_kind = "stream"

    @schema.operation(
        "stream_events",
        "A stream of events",
        str,
        serializers.STREAMED,
        media_type=schema.EVENT_STREAM,
        errors=STREAM_ERRORS,
        parameters=[schema.LAST_EVENT_ID],
    )
    def get(self, request: Request) -> Any:
        return self.stream()

    def stream(self) -> Any:
        """Return a response that streams the events that the request selects."""
        request = self.request
        after = self._after()
        selection = self._selection(self.readable)
        if selection is None:
            raise PermissionDenied("You may not read these events")
        if not isinstance(request._request, ASGIRequest):
            return Problem(501, "Event streams need the project's ASGI application", "no-streams")
        if _is_in_test_case(self.store.using):
            return Problem(501, IN_TEST_CASE, "no-streams")
        user = user_key(request) or f"at {request.META.get('REMOTE_ADDR')}"
        if problem := _too_many(user):
            return problem
        if after:
            self.check_given_out("Last-Event-ID" if request.headers.get("Last-Event-ID") else "after", after)
        stream = Stream(self.store.using, selection, after, self._reselect, user=user)
        release_connections()
        return StreamingHttpResponse(
            no_content() if request.method == "HEAD" else stream,
            content_type=EventStreamRenderer.media_type,
            # X-Accel-Buffering is for nginx, which would buffer the stream.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    @property
    def aggregate_id(self) -> str | None:
        """The aggregate whose events the request selects; None for all aggregates."""
        return self.request.query_params.get("aggregate_id")

    def _after(self) -> int | None:
        """Return the position to begin after: the `Last-Event-ID` of a client that reconnects, or `after`."""
        # Browsers have an empty id before they have received one, and do not connect again after a 400.
        if last_event_id := self.request.headers.get("Last-Event-ID"):
            return parameters.number("Last-Event-ID", last_event_id)
        if self.request.query_params.get("after") == "now":
            return None
        return int(parameters.integer(self.request, "after", 0))

    def _selection(self, readable: authorization.Categories) -> Selection | None:
        """Return the requested events that the user may read; None if the user may read none of them."""
        if not readable:
            return None
        aggregate_id = self.aggregate_id
        if aggregate_id is not None and not readable.contains(aggregate_id):
            return None
        query = self.request.query_params
        types, categories = set(map(decoding.name_of, query.getlist("type"))), set(query.getlist("category"))
        events = EventFilter.of(self.request, self.store.using, readable)
        requested = authorization.Categories(frozenset(categories) if categories else None)

        def selects(event: AnyEvent) -> bool:
            return (
                (not types or event.type in types)
                and (aggregate_id is None or event.aggregate_id == aggregate_id)
                and requested.contains(event.aggregate_id)
                and readable.contains(event.aggregate_id)
            )

        return Selection(events if aggregate_id is None else events.of_aggregate(aggregate_id), selects)

    def _reselect(self) -> Selection | None:
        user = authenticate_again(self.request)
        return self._selection(authorization.readable(user, self.view_permission)) if user else None


class AggregateStream(EventStream):
    """The events of one aggregate as Server-Sent Events: first the history, then each new event."""

    parameters = (schema.AFTER_OR_NOW, schema.TYPES)

    @schema.operation(
        "stream_history",
        "A stream of the events of an aggregate",
        str,
        serializers.STREAMED,
        media_type=schema.EVENT_STREAM,
        errors=STREAM_ERRORS,
        parameters=[schema.LAST_EVENT_ID],
    )
    def get(self, request: Request, aggregate_id: str) -> Any:
        return self.stream()

    @property
    def aggregate_id(self) -> str:
        return str(self.kwargs["aggregate_id"])

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.check_readable(self.aggregate_id)


def _is_in_test_case(using: str) -> bool:
    """Return whether Django's TestCase has opened the transaction of this connection; it marks its blocks."""
    return any(getattr(block, "_from_testcase", False) for block in connections[using].atomic_blocks)


def _too_many(user: str) -> Problem | None:
    if Feed.open_streams() >= conf.stream_max_streams:
        detail = f"This process already has {conf.stream_max_streams:,} open streams (EVENTS_STREAM_MAX_STREAMS)"
        return Problem(503, detail, "too-many-streams", headers=RETRY_AFTER)
    if not Feed.has_room(user):
        most = conf.stream_max_streams_per_user
        detail = f"You already have {most:,} open streams in this process (EVENTS_STREAM_MAX_STREAMS_PER_USER)"
        return Problem(429, detail, "too-many-streams-of-user", headers=RETRY_AFTER)
    return None
