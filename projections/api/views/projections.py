"""The status of the projections and their parked events."""

from dataclasses import asdict
from typing import Any

from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import parameters, schema
from events.api.base import StoreView
from projections import registry
from projections.api import serializers
from projections.exceptions import UnknownProjection
from projections.models import Build, ParkedEvent
from projections.operations import status

from .base import page_after


class ProjectionList(StoreView):
    """The status of every projection."""

    view_permission = "projections.view_projectionstate"
    by_category = False

    @schema.operation(
        "list_projections",
        "The status of every projection",
        serializers.ProjectionsSerializer,
        {"projections": [serializers.PROJECTION]},
    )
    def get(self, request: Request) -> Response:
        return Response({"projections": [asdict(each) for each in status.reports()]})


class ProjectionDetail(StoreView):
    """The status of one projection."""

    view_permission = "projections.view_projectionstate"
    by_category = False

    @schema.operation(
        "get_projection",
        "The status of one projection",
        serializers.ProjectionSerializer,
        serializers.PROJECTION,
        errors=(*schema.READ_ERRORS, 404),
    )
    def get(self, request: Request, name: str) -> Response:
        try:
            return Response(asdict(status.report(name)))
        except UnknownProjection as error:
            raise Http404(str(error)) from error


class ParkedEventList(StoreView):
    """The events of a projection that have stepped aside, by position: retried, parked, or waiting behind another."""

    view_permission = "projections.view_parkedevent"
    by_category = False
    parameters = (schema.AFTER_POSITION, schema.LIMIT)

    @schema.operation(
        "list_parked_events",
        "The parked events of a projection",
        serializers.ParkedPageSerializer,
        serializers.PARKED,
        errors=(*schema.READ_ERRORS, 404),
    )
    def get(self, request: Request, name: str) -> Response:
        try:
            registry.get(name)
        except UnknownProjection as error:
            raise Http404(str(error)) from error
        parked = ParkedEvent.objects.using(self.store.using).filter(
            projection=name, build=Build.LIVE, position__gt=parameters.integer(request, "after", 0)
        )
        found, following = page_after(self, parked, "position")
        return Response({"parked": [_parked_as_dict(event) for event in found], "next": following})


def _parked_as_dict(event: ParkedEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "aggregate_id": event.aggregate_id,
        "type": event.type,
        "parked_at": event.parked_at.isoformat(),
        "attempts": event.attempts,
        "error": event.error,
        "waits": not event.error,
        "next_attempt_at": event.next_attempt_at.isoformat() if event.next_attempt_at else None,
    }
