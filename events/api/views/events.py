"""The views of events: the list, which also accepts appends to several aggregates, and one event."""

from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import appending, parameters, schema, serializers
from events.api.base import ASK_AGAIN, UNCHANGING, EventsView, StoreView
from events.api.filters import EventFilter
from events.api.negotiation import CloudEventRenderer
from events.formats import cloudevents
from events.formats.serialization import event_as_dict, uuid_of
from events.models import Event
from events.storage import rows
from events.types import MAX_BIGINT


class EventList(EventsView):
    """The events of the whole store by position, up to the settled position: clients that follow it miss none."""

    parameters = (
        schema.AFTER_POSITION,
        schema.UP_TO_POSITION,
        schema.REVERSE,
        schema.LIMIT,
        *EventFilter.parameters(),
    )

    @schema.operation(
        "list_events",
        "The events of the whole store",
        serializers.EventPageSerializer,
        {"events": [serializers.PLACED], "checkpoint": 7, "next": None},
        also=serializers.AS_CLOUDEVENTS,
        parameters=[schema.LINK],
    )
    def get(self, request: Request) -> Response:
        limit, reverse = parameters.limit(request), parameters.flag(request, "reverse")
        after = parameters.integer(request, "after", 0)
        up_to = min(parameters.integer(request, "up_to", MAX_BIGINT), self.store.settled_position())
        chosen = EventFilter.of(request, self.store.using, self.readable)
        chosen = chosen.after(after).up_to(up_to).order_by("-position" if reverse else "position")
        page, more = self.fetch(chosen, limit)
        following = None
        if more:
            last = page[-1].position
            following = self.link(up_to=last - 1) if reverse else self.link(after=last)
        # The value of `after` to continue with later, even if the filter has matched nothing.
        checkpoint = None if reverse else page[-1].position if more else max(after, up_to)
        return self.page(page, following, {}, checkpoint=checkpoint)

    @schema.operation(
        "append_to_many",
        "Append events to several aggregates, all or nothing",
        serializers.AppendedToManySerializer,
        {"versions": {"order-18": 1}, "position": 7, "events": [serializers.PLACED]},
        status=[201, 200],
        also=serializers.AS_CLOUDEVENTS,
        errors=schema.APPEND_ERRORS,
        parameters=[schema.IDEMPOTENCY_KEY],
        request=schema.bodies(here=False),
    )
    def post(self, request: Request) -> Response:
        append_request = appending.read(self)
        self._check_aggregates(append_request)
        stored = appending.append(self, append_request)
        return self.appended(stored, {}, versions={event.aggregate_id: event.version for event in stored})

    def _check_aggregates(self, append_request: appending.AppendRequest) -> None:
        """Raise PermissionDenied if the user may not append to an aggregate, or read one that is only checked."""
        written = {event.aggregate_id for event in append_request.events if isinstance(event.aggregate_id, str)}
        for aggregate_id in sorted(written):
            self.check_appendable(aggregate_id)
        if isinstance(append_request.expected_version, dict):
            for aggregate_id in sorted(append_request.expected_version.keys() - written):
                if not self.appendable.contains(aggregate_id):
                    self.check_readable(aggregate_id)


class EventDetail(StoreView):
    """One event by its id."""

    renderer_classes = [*StoreView.renderer_classes, CloudEventRenderer]

    @schema.operation(
        "get_event",
        "One event",
        serializers.StoredEventSerializer,
        serializers.PLACED,
        also={cloudevents.MEDIA_TYPE: (serializers.CLOUDEVENT, serializers.PLACED_AS_CLOUDEVENT)},
        errors=(*schema.READ_ERRORS, 404),
    )
    def get(self, request: Request, event_id: str) -> Response:
        found = Event.objects.using(self.store.using).filter(event_id=uuid_of(event_id))
        event: Event | None = next(iter(rows.fetch_page(found, 1)), None)
        if event is None or not self.readable.contains(event.aggregate_id):
            raise Http404(f"There is no event {event_id}")
        as_dict: Any = event_as_dict
        if isinstance(request.accepted_renderer, CloudEventRenderer):
            as_dict = cloudevents.from_event
        caching = ASK_AGAIN if event.unreadable else UNCHANGING  # another process may be able to read it
        return Response(as_dict(event), headers={"Cache-Control": caching})
