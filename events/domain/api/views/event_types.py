"""The event types with a payload class, and the JSON Schema of each."""

from typing import Any
from urllib.parse import quote

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events import decoding
from events.api import schema
from events.api.base import StoreView
from events.api.serializers import JSON_OBJECT
from events.domain import schemas
from events.domain.api import serializers
from events.domain.event_types import PayloadType, by_name
from events.visible import visible


class EventTypeList(StoreView):
    """The event types with a payload class, by name."""

    by_category = False

    @schema.operation(
        "list_event_types",
        "The event types",
        serializers.EventTypesSerializer,
        {"event_types": [serializers.EVENT_TYPE]},
    )
    def get(self, request: Request) -> Response:
        return Response({"event_types": [self._as_dict(each) for each in by_name()]})

    def _as_dict(self, event_type: PayloadType) -> dict[str, Any]:
        here = self.request.build_absolute_uri(self.request.path)
        return {
            "name": event_type.name,
            "earlier_names": event_type.names[1:],
            "version": event_type.version,
            "description": schemas.schema_of(event_type).get("description", ""),
            "schema": f"{here}{quote(event_type.name, safe='')}/",
        }


class EventTypeDetail(StoreView):
    """The JSON Schema of the data of an event type, in its newest version; earlier names of the type work too."""

    by_category = False

    @schema.operation(
        "get_event_type",
        "The JSON Schema of an event type",
        JSON_OBJECT,
        serializers.SCHEMA,
        errors=(*schema.READ_ERRORS, 404),
    )
    def get(self, request: Request, event_type: str) -> Response:
        found = decoding.types.get(event_type)
        if not isinstance(found, PayloadType):
            raise Http404(f"There is no event type '{visible(event_type)}' with a payload class")
        return Response({"$schema": schemas.DIALECT, **schemas.schema_of(found)})
