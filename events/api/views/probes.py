"""The probes of orchestrators: whether a process is alive, and whether it can serve requests."""

from collections.abc import Sequence
from typing import Any, ClassVar

from django import db
from rest_framework.authentication import BaseAuthentication
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE
from rest_framework.throttling import BaseThrottle

from events.api import schema, serializers
from events.api.base import StoreView, outside_transactions
from events.api.negotiation import FastJSONRenderer
from events.storage import ordering


class Probe(StoreView):
    """A view that anybody may request, and that reads nothing of the request: no user, no session, no throttle."""

    # A token or a session would be looked up in the database, and throttles may have their cache there.
    authentication_classes: Sequence[type[BaseAuthentication]] = ()
    permission_classes = [AllowAny]
    renderer_classes: Sequence[type[BaseRenderer]] = [FastJSONRenderer]  # a browsable page would show the user

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_transactions(super().as_view(**initkwargs))

    def get_throttles(self) -> list[BaseThrottle]:
        return []


class Liveness(Probe):
    """Whether this process answers requests: 200. It does not use the database."""

    ANSWER: ClassVar = {"status": "ok"}

    @schema.operation(
        "get_liveness", "Whether the process is alive", serializers.LivenessSerializer, ANSWER, errors=(400, 406)
    )
    def get(self, request: Request) -> Response:
        return Response(self.ANSWER)


class Readiness(Probe):
    """Whether this process can serve requests: 200, or 503 if the database does not answer or is not migrated."""

    @schema.operation(
        "get_readiness",
        "Whether the process can serve requests",
        serializers.ReadinessSerializer,
        {"status": "ok", "failing": []},
        errors=(400, 406),
        status=[200, 503],
    )
    def get(self, request: Request) -> Response:
        try:
            ordering.settled_position(self.store.using)
        except db.Error:
            return Response({"status": "failing", "failing": ["database"]}, HTTP_503_SERVICE_UNAVAILABLE)
        return Response({"status": "ok", "failing": []}, HTTP_200_OK)


PROBES = (
    ("health/live/", Liveness, "liveness"),
    ("health/ready/", Readiness, "readiness"),
)
