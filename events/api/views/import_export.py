"""The views for export and import, which stream bodies of any length."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections, transaction
from django.http import StreamingHttpResponse
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import parameters, schema, serializers
from events.api.base import StoreView
from events.api.filters import EventFilter
from events.api.negotiation import FastJSONRenderer, NDJSONParser, NDJSONRenderer
from events.api.problems import Problem
from events.exceptions import InvalidEvent
from events.formats.files import read_json_lines
from events.formats.importing import BadLine, Importer
from events.formats.serialization import to_json
from events.storage import reader
from events.types import NewEvent, category_of


class Forbidden(InvalidEvent):
    """A line of an import belongs to a category that the user may not append to."""


class EventExport(StoreView):
    """The events of the store by position, as JSON Lines that `POST …/import/` accepts."""

    renderer_classes = [NDJSONRenderer, FastJSONRenderer]
    parameters = (schema.AFTER_POSITION, schema.UP_TO_POSITION, *EventFilter.parameters())
    throttle_scope = "export"

    @schema.operation(
        "export_events", "Events as JSON Lines", str, to_json(serializers.PLACED).decode(), media_type=schema.NDJSON
    )
    def get(self, request: Request) -> Any:
        after = parameters.integer(request, "after", 0)
        up_to = parameters.integer(request, "up_to", parameters.MAX_BIGINT)
        chosen = EventFilter.of(request, self.store.using, self.readable)
        up_to = min(up_to, self.store.settled_position())
        is_head = request.method == "HEAD"
        pages: Any = () if is_head else reader.json_pages(chosen, after=after, up_to=up_to)
        return StreamingHttpResponse(
            _in_thread(iter(pages)) if isinstance(request._request, ASGIRequest) else pages,
            content_type=NDJSONRenderer.media_type,
            headers={"Cache-Control": "no-store"},
        )


class EventImport(StoreView):
    """Any number of events of any aggregates, one JSON object a line. It is safe to repeat the request."""

    parser_classes = [NDJSONParser]
    throttle_scope = "import"

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        view = super().as_view(**initkwargs)
        # A transaction around the whole import (ATOMIC_REQUESTS) would delay all readers until it ends.
        for alias in connections:
            view = transaction.non_atomic_requests(using=alias)(view)
        return view

    @schema.operation(
        "import_events",
        "Store events of JSON Lines",
        serializers.ImportedSerializer,
        {"stored": 1, "known": 0},
        errors=(*schema.READ_ERRORS, 409, 415),
        request={schema.NDJSON: str},
    )
    def post(self, request: Request) -> Response:
        # The body is read line by line; REST framework would load all of it into memory.
        if not self.get_content_negotiator().select_parser(request, self.get_parsers()):
            raise UnsupportedMediaType(request.content_type or "")
        importer = Importer(self.store, check=self._check_category)
        try:
            for _ in importer.run(read_json_lines(request._request)):
                pass
        except BadLine as bad:
            detail = f"{bad}. The events before it were stored; correct the line, and send the whole file again"
            status, slug = (403, None) if isinstance(bad.error, Forbidden) else (400, "invalid")
            field, counts = bad.error.field, importer.counts
            return Problem(status, detail, slug, field=field, line=bad.number, stored=counts.stored, known=counts.known)
        return Response({"stored": importer.counts.stored, "known": importer.counts.known})

    def _check_category(self, event: NewEvent) -> None:
        if not self.appendable.contains(event.aggregate_id):
            category = category_of(event.aggregate_id)
            raise Forbidden("aggregate_id", f"has the category {category!r}, to which you may not append")


async def _in_thread(pages: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pages under ASGI; Django would first collect a synchronous iterator into a list."""
    next_page = sync_to_async(lambda: next(pages, None))
    while page := await next_page():
        yield page
