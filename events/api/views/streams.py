"""Event streams over HTTP: the views that open them. `events.streaming` has the feed and the protocol."""

from collections.abc import Sequence
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import StreamingHttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from events import authorization
from events.api import parameters, schema, serializers
from events.api.authentication import user_by_now
from events.api.filters import EventFilter
from events.api.negotiation import EventStreamRenderer, FastJSONRenderer
from events.api.problems import Problem
from events.conf import conf
from events.models import Event
from events.streaming.feed import Feed
from events.streaming.server_sent_events import Selection, Stream

from .base import StoreView

STREAM_ERRORS = (*schema.READ_ERRORS, 501, 503)


class EventStream(StoreView):
    """The events of the store as they come, as Server-Sent Events: history first, then live, none missed."""

    renderer_classes = [EventStreamRenderer, FastJSONRenderer]
    parameters: Sequence[OpenApiParameter] = (
        schema.AFTER_OR_NOW,
        *(each for each in EventFilter.parameters() if each.name in ("type", "category", "aggregate_id")),
    )
    throttle_scope = "stream"

    @schema.operation(
        "stream_events",
        "Events as they come",
        str,
        serializers.STREAMED,
        media_type=schema.EVENT_STREAM,
        errors=STREAM_ERRORS,
        parameters=[schema.LAST_EVENT_ID],
    )
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        after = self._after()
        selection = self._selection(self.readable)
        if selection is None:
            raise PermissionDenied("You may not read this")
        if not isinstance(request._request, ASGIRequest):
            return Problem(501, "Event streams need the project's ASGI application", "no-streams")
        if Feed.open_streams() >= conf.stream_max_streams:
            detail = f"{conf.stream_max_streams:,} streams are open here, and no more are served"
            return Problem(503, detail, "too-many-streams", headers={"Retry-After": "5"})
        stream = Stream(self.store.using, selection, after, self._reselect)
        _release_connections()
        return StreamingHttpResponse(
            stream,
            content_type=EventStreamRenderer.media_type,
            # The second is for nginx, which would keep back what is to come at once.
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    def _after(self) -> int | None:
        """Return where to begin: after what a client that comes again has seen, or as the address says."""
        seen = self.request.headers.get("Last-Event-ID")
        if seen is not None:
            return parameters.number("Last-Event-ID", seen)
        if self.request.query_params.get("after") == "now":
            return None
        return int(parameters.integer(self.request, "after", 0))

    def _selection(self, readable: authorization.Categories) -> Selection | None:
        """Return what the request asks for, as far as it may be read; None when nothing of it may."""
        if not readable:
            return None
        aggregate_id = self.kwargs.get("aggregate_id", self.request.query_params.get("aggregate_id"))
        if aggregate_id is not None and not readable.contains(aggregate_id):
            return None
        query = self.request.query_params
        types, categories = set(query.getlist("type")), set(query.getlist("category"))
        events = EventFilter.of(self.request, self.store.using, readable)
        asked = authorization.Categories(frozenset(categories) if categories else None)

        def wants(event: Event) -> bool:
            return (
                (not types or event.type in types)
                and (aggregate_id is None or event.aggregate_id == aggregate_id)
                and asked.contains(event.aggregate_id)
                and readable.contains(event.aggregate_id)
            )

        return Selection(events if aggregate_id is None else events.of_aggregate(aggregate_id), wants)

    def _reselect(self) -> Selection | None:
        user = user_by_now(self.request)
        return self._selection(authorization.readable(user, self.view_permission)) if user else None


class AggregateStream(EventStream):
    """The events of one aggregate as they come, as Server-Sent Events."""

    parameters = (schema.AFTER_OR_NOW, schema.TYPES)

    @schema.operation(
        "stream_history",
        "The events of an aggregate as they come",
        str,
        serializers.STREAMED,
        media_type=schema.EVENT_STREAM,
        errors=STREAM_ERRORS,
        parameters=[schema.LAST_EVENT_ID],
    )
    def get(self, request: Request, aggregate_id: str) -> Any:
        return super().get(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        self.check_readable(kwargs["aggregate_id"])


def _release_connections() -> None:
    """Give back the connections of this request now: its thread stays as long as the stream is open."""
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
