"""The media types of requests and responses."""

from types import SimpleNamespace
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import Http404
from rest_framework.exceptions import NotAcceptable, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.settings import api_settings

from events.formats import cloudevents
from events.formats.serialization import from_json, to_json


class Negotiation(DefaultContentNegotiation):
    """Content negotiation that rejects an unknown `format` with 406, as it does for `Accept`, not with 404."""

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        own = {each.name for each in request.parser_context["view"].parameters}
        if api_settings.URL_FORMAT_OVERRIDE in own:
            self.settings: Any = SimpleNamespace(URL_FORMAT_OVERRIDE=None)
        return super().select_renderer(request, renderers, format_suffix)

    def filter_renderers(self, renderers: Any, format: str) -> Any:  # noqa: A002
        try:
            return super().filter_renderers(renderers, format)
        except Http404:
            raise NotAcceptable from None


class StrictJSONParser(BaseParser):
    """JSON in UTF-8 within DATA_UPLOAD_MAX_MEMORY_SIZE, without duplicate names or NaN."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        try:
            return from_json(_body(stream).decode("utf-8-sig"))
        except ValueError as error:
            raise ParseError(f"is not valid JSON: {error}") from None


class CloudEventParser(StrictJSONParser):
    media_type = cloudevents.MEDIA_TYPE


class CloudEventBatchParser(StrictJSONParser):
    media_type = cloudevents.BATCH_MEDIA_TYPE


class CloudEventDataParser(BaseParser):
    """The body of a CloudEvent in binary mode, as it is, within DATA_UPLOAD_MAX_MEMORY_SIZE."""

    media_type = "*/*"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return _body(stream)


class NDJSONParser(BaseParser):
    """JSON Lines, which the view reads one by one: the data of the request is its body, still unread."""

    media_type = "application/x-ndjson"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        return stream


class FastJSONRenderer(JSONRenderer):
    """JSON by orjson, several times as fast as the standard library, which writes indented JSON."""

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        if data is None or self.get_indent(accepted_media_type or "", renderer_context or {}):
            return bytes(super().render(data, accepted_media_type, renderer_context))
        return to_json(data)


class CloudEventRenderer(FastJSONRenderer):
    media_type, format = cloudevents.MEDIA_TYPE, "cloudevent"


class CloudEventBatchRenderer(FastJSONRenderer):
    media_type, format = cloudevents.BATCH_MEDIA_TYPE, "cloudevents"


class StreamRenderer(BaseRenderer):
    """The media type of a view that writes its response itself."""

    charset = None

    def render(self, data: Any, *args: Any, **kwargs: Any) -> bytes:
        return to_json(data)


class NDJSONRenderer(StreamRenderer):
    media_type, format = "application/x-ndjson", "ndjson"


class EventStreamRenderer(StreamRenderer):
    media_type, format = "text/event-stream", "stream"


def _body(stream: Any) -> bytes:
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    body: bytes = stream.read() if limit is None else stream.read(limit + 1)
    if limit is not None and len(body) > limit:
        raise RequestDataTooBig
    return body
