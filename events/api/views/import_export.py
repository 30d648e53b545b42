"""The views for export and import, which stream bodies of any length."""

from io import BytesIO
from typing import Any

from django.http import StreamingHttpResponse
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import appending, parameters, preconditions, problems, schema, serializers
from events.api.base import StoreView, outside_transactions
from events.api.filters import EventFilter
from events.api.negotiation import FastJSONRenderer, NDJSONParser, NDJSONRenderer
from events.api.problems import Problem
from events.authorization import Categories
from events.conf import conf
from events.exceptions import InvalidEvent, Rejected
from events.formats.files import read_json_lines
from events.formats.importing import BadLine, Importer
from events.formats.serialization import to_json
from events.setting_kinds import ALL
from events.storage import reader
from events.streaming.threads import streamed
from events.types import MAX_BIGINT, category_of


class Forbidden(InvalidEvent):
    """A line of an import belongs to a category that the user may not append to."""


class EventExport(StoreView):
    """The events of the store by position, as JSON Lines that `POST …/import/` accepts."""

    renderer_classes = [NDJSONRenderer, FastJSONRenderer]
    parameters = (schema.AFTER_POSITION, schema.UP_TO_POSITION, *EventFilter.parameters())
    throttle_kind = "export"

    @schema.operation(
        "export_events", "Events as JSON Lines", str, to_json(serializers.PLACED).decode(), media_type=schema.NDJSON
    )
    def get(self, request: Request) -> Any:
        after = parameters.integer(request, "after", 0)
        up_to = parameters.integer(request, "up_to", MAX_BIGINT)
        chosen = EventFilter.of(request, self.store.using, self.readable)
        up_to = min(up_to, self.store.settled_position())
        is_head = request.method == "HEAD"
        pages: Any = () if is_head else reader.json_pages(chosen, after=after, up_to=up_to)
        return StreamingHttpResponse(
            streamed(iter(pages), request._request),
            content_type=NDJSONRenderer.media_type,
            headers={"Cache-Control": "no-store"},
        )


class EventImport(StoreView):
    """Any number of events of any aggregates, one JSON object a line. It is safe to repeat the request."""

    parser_classes = [NDJSONParser]
    post_parameters = (schema.CALL_SUBSCRIBERS,)
    throttle_kind = "import"

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        # A transaction around the whole import would delay all readers until it ends.
        return outside_transactions(super().as_view(**initkwargs))

    def is_usable(self) -> bool:
        return super().is_usable() and conf.append_over_http == ALL

    @schema.operation(
        "import_events",
        "Store events of JSON Lines",
        serializers.ImportedSerializer,
        {"stored": 1, "known": 0},
        errors=(*schema.READ_ERRORS, 409, 411, 415),
        request={schema.NDJSON: str},
    )
    def post(self, request: Request) -> Response:
        preconditions.reject(request, "leave it out, because an import takes no expected versions")
        appending.check_open(None)
        # A thread calls the check, so the permissions are read here.
        allowed = self.appendable
        importer = Importer(
            self.store,
            check=lambda aggregate_id: _check_category(aggregate_id, allowed),
            call_subscribers=parameters.flag(request, "call_subscribers"),
        )
        body: Any = request.data or BytesIO()  # still unread; REST framework returns {} without a body
        try:
            for _ in importer.run(read_json_lines(body)):
                pass
        except BadLine as bad:
            detail = f"{bad}. The events before it were stored; correct the line, and send the whole file again"
            counts = importer.counts
            progress: dict[str, Any] = {"line": bad.number, "stored": counts.stored, "known": counts.known}
            if isinstance(bad.error, Rejected):
                return problems.rejection(bad.error, detail, **progress)
            status, slug = (403, None) if isinstance(bad.error, Forbidden) else (400, "invalid")
            return Problem(status, detail, slug, field=bad.error.field, **progress)
        counts = importer.counts
        if not counts.stored + counts.known:
            raise InvalidEvent("body", "has no events; send one JSON object a line")
        return Response({"stored": counts.stored, "known": counts.known})


def _check_category(aggregate_id: str, allowed: Categories) -> None:
    if not allowed.contains(aggregate_id):
        category = category_of(aggregate_id)
        raise Forbidden("aggregate_id", f"has the category {category!r}, to which you may not append")
