"""Answers that hold events: JSON of ours, or CloudEvents for who asks for them."""

from collections.abc import Sequence
from typing import Any

from rest_framework.response import Response

from events import cloudevents, reader
from events.interchange import event_as_dict, written_as_dict
from events.models import EventQuerySet
from events.reader import Written
from events.store import Dispatched

from .base import StoreView
from .negotiation import (
    BoundedJSONParser,
    CloudEventBatchParser,
    CloudEventBatchRenderer,
    CloudEventParser,
    FastJSONRenderer,
)


class EventsView(StoreView):
    """A view that gives out a list of events, and perhaps takes some."""

    parser_classes = [BoundedJSONParser, CloudEventParser, CloudEventBatchParser]
    renderer_classes = [*StoreView.renderer_classes, CloudEventBatchRenderer]

    def fetch(self, events: EventQuerySet) -> list[Any]:
        """Return events for `page`: as the database wrote them, where that is how they go out."""
        renderer = self.request.accepted_renderer
        is_as_written = type(renderer) is FastJSONRenderer and not renderer.get_indent(
            self.request.accepted_media_type or "", {}
        )
        return reader.fetch_written(events) if is_as_written else reader.fetch(events)

    def page(self, events: Sequence[Any], following: str | None, headers: dict[str, str], **envelope: Any) -> Response:
        """Answer with a page of events. CloudEvents come as a bare list, so the next page is in `Link` besides."""
        if following:
            headers = {**headers, "Link": f'<{following}>; rel="next"'}
        if isinstance(self.request.accepted_renderer, CloudEventBatchRenderer):
            return Response([cloudevents.from_event(event) for event in events], headers=headers)
        found = [written_as_dict(each) if isinstance(each, Written) else event_as_dict(each) for each in events]
        return Response({**envelope, "events": found, "next": following}, headers=headers)

    def as_answer(self, stored: Dispatched) -> dict[str, Any]:
        """Return what an append answers: the events, whose content only readers get to see."""
        events = [event_as_dict(event) for event in stored]
        for event in events:
            if not self.readable.holds(event["aggregate_id"]):
                del event["data"], event["metadata"]
        return {"position": stored[-1].position if stored else None, "events": events}
