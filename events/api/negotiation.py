"""The media types of requests and answers."""

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.renderers import BaseRenderer, JSONRenderer

from events import cloudevents
from events.interchange import to_json


class BoundedJSONParser(JSONParser):
    """JSON, of which what is nested too deep for Python is refused like any other fault."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deep") from None


class CloudEventParser(BoundedJSONParser):
    media_type = cloudevents.MEDIA_TYPE


class CloudEventBatchParser(BoundedJSONParser):
    media_type = cloudevents.BATCH_MEDIA_TYPE


class NDJSONParser(BaseParser):
    """One JSON object a line. It stands for the media type; the lines are read one by one by the view."""

    media_type = "application/x-ndjson"


class FastJSONRenderer(JSONRenderer):
    """JSON written several times as fast as by the standard library. Indentation on request is left to that."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None or self.get_indent(accepted_media_type or "", renderer_context or {}):
            return bytes(super().render(data, accepted_media_type, renderer_context))
        return to_json(data)


class CloudEventRenderer(FastJSONRenderer):
    media_type, format = cloudevents.MEDIA_TYPE, "cloudevent"


class CloudEventBatchRenderer(FastJSONRenderer):
    media_type, format = cloudevents.BATCH_MEDIA_TYPE, "cloudevents"


class StreamRenderer(BaseRenderer):
    """Stands for the media type of a view that writes its answer itself."""

    charset = None

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return to_json(data)


class NDJSONRenderer(StreamRenderer):
    media_type, format = "application/x-ndjson", "ndjson"


class EventStreamRenderer(StreamRenderer):
    media_type, format = "text/event-stream", "stream"
