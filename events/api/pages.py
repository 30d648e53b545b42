"""Answers that hold events: JSON of ours, or CloudEvents for who asks for them."""

from collections.abc import Sequence
from typing import Any

from rest_framework.response import Response

from events import cloudevents, reader
from events.interchange import event_as_dict, written_as_dict
from events.models import Event, EventQuerySet
from events.reader import Written
from events.store import Dispatched

from .base import StoreView
from .negotiation import (
    CloudEventBatchParser,
    CloudEventBatchRenderer,
    CloudEventParser,
    FastJSONRenderer,
    StrictJSONParser,
)


class EventsView(StoreView):
    """A view that gives out a list of events, and perhaps takes some."""

    parser_classes = [StrictJSONParser, CloudEventParser, CloudEventBatchParser]
    renderer_classes = [*StoreView.renderer_classes, CloudEventBatchRenderer]

    def fetch(self, events: EventQuerySet | reader.Query) -> list[Any]:
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
        if self._wants_cloudevents():
            return Response([cloudevents.from_event(event) for event in events], headers=headers)
        found = [written_as_dict(each) if isinstance(each, Written) else event_as_dict(each) for each in events]
        return Response({**envelope, "events": found, "next": following}, headers=headers)

    def appended(self, stored: Dispatched, headers: dict[str, str], **envelope: Any) -> Response:
        """Answer an append: with the events, whose content only readers get to see."""
        events = [self._as_dict(event) for event in stored]
        status = 201 if stored and not stored.is_retry else 200
        if self._wants_cloudevents():
            return Response(events, status=status, headers=headers)
        position = stored[-1].position if stored else None
        return Response({**envelope, "position": position, "events": events}, status=status, headers=headers)

    def _as_dict(self, event: Event) -> dict[str, Any]:
        is_readable = self.readable.holds(event.aggregate_id)
        if not is_readable:
            event.metadata = {}
        content = cloudevents.from_event(event) if self._wants_cloudevents() else event_as_dict(event)
        hidden = () if is_readable else ("data", "metadata")
        return {name: value for name, value in content.items() if name not in hidden}

    def _wants_cloudevents(self) -> bool:
        return isinstance(self.request.accepted_renderer, CloudEventBatchRenderer)
