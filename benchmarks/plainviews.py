"""The views that the HTTP interface is measured against: plain views of REST framework without guarantees."""

import json
from typing import Any
from uuid import uuid4

from django.db import connection
from django.utils import timezone
from rest_framework.authentication import TokenAuthentication
from rest_framework.generics import ListAPIView
from rest_framework.parsers import JSONParser
from rest_framework.permissions import BasePermission
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView

from events.models import Event

# The columns and indexes of the events table; no checks, no triggers, no aggregates.
CREATE_TABLE = """
    CREATE TABLE bench_event (LIKE events_event INCLUDING IDENTITY INCLUDING INDEXES);
    INSERT INTO bench_event (aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
    SELECT aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at
    FROM events_event ORDER BY position
"""
INSERT = """
    INSERT INTO bench_event (aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) RETURNING position
"""


class MayAppend(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.has_perm("events.add_event"))


class MayRead(BasePermission):
    def has_permission(self, request: Request, view: Any) -> bool:
        return bool(request.user.has_perm("events.view_event"))


class EventSerializer(ModelSerializer):
    class Meta:
        model = Event
        fields = [
            "position",
            "aggregate_id",
            "version",
            "event_id",
            "type",
            "data",
            "metadata",
            "timestamp",
            "recorded_at",
        ]


class Plain:
    authentication_classes = [TokenAuthentication]
    parser_classes = [JSONParser]
    renderer_classes = [JSONRenderer]


class PlainAppend(Plain, APIView):
    """Do one INSERT; the client gives the version."""

    permission_classes = [MayAppend]

    def post(self, request: Request, aggregate_id: str) -> Response:
        body = request.data
        row = {
            "aggregate_id": aggregate_id,
            "version": body["version"],
            "event_id": uuid4(),
            "type": body["type"],
            "data": body["data"],
            "metadata": {},
            "timestamp": timezone.now(),
        }
        row["recorded_at"] = row["timestamp"]
        with connection.cursor() as cursor:
            cursor.execute(INSERT, [json.dumps(value) if isinstance(value, dict) else value for value in row.values()])
            (position,) = cursor.fetchone()
        return Response({"position": position, **row}, status=201)


class PlainHistory(Plain, ListAPIView):
    """The history of an aggregate, in one page."""

    permission_classes = [MayRead]
    serializer_class = EventSerializer
    pagination_class = None

    def get_queryset(self) -> Any:
        return Event.objects.filter(aggregate_id=self.kwargs["aggregate_id"]).order_by("version")
