"""The health of the projections, for monitors."""

from typing import Any

from django.db import DatabaseError
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_200_OK, HTTP_503_SERVICE_UNAVAILABLE

from events.api import schema
from events.api.base import StoreView, outside_transactions
from projections.api import serializers
from projections.api.serializers import Health
from projections.operations import status


class HealthView(StoreView):
    """Whether projections keep up: 200, or 503 with the projections that do not.

    Anybody may request it, so that monitors can. Users who may see the projections get the reasons too.
    """

    view_permission = "projections.view_projectionstate"
    by_category = False
    permission_classes = [AllowAny]

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        return outside_transactions(super().as_view(**initkwargs))  # which would fail before this view can answer

    @schema.operation(
        "get_health",
        "Whether projections keep up",
        serializers.HealthSerializer,
        {"status": "ok", "failing": []},
        errors=(400, 401, 406, 429),
        status=[200, 503],
    )
    def get(self, request: Request) -> Response:
        try:
            problems = {each.name: problem for each in status.reports() if (problem := each.problem())}
        except DatabaseError:
            return Response({"status": Health.FAILING, "failing": ["database"]}, HTTP_503_SERVICE_UNAVAILABLE)
        answer: dict[str, Any] = {"status": Health.FAILING if problems else Health.OK, "failing": sorted(problems)}
        if self.readable:
            answer["reasons"] = problems
        return Response(answer, HTTP_503_SERVICE_UNAVAILABLE if problems else HTTP_200_OK)
