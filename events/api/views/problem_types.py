"""The view that explains the `type` of a problem."""

from django.http import Http404
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import schema, serializers
from events.api.base import StoreView
from events.api.problems import TYPES


class ProblemTypeDetail(StoreView):
    """The meaning of a problem type, and its remedy. It needs no permission."""

    permission_classes = [AllowAny]

    @schema.operation(
        "get_problem_type",
        "A type of problem explained",
        serializers.ProblemTypeExplainedSerializer,
        {"title": TYPES["invalid"].title, "remedy": TYPES["invalid"].remedy},
        errors=(400, 401, 404, 406, 429),
    )
    def get(self, request: Request, slug: str) -> Response:
        if slug not in TYPES:
            raise Http404(f"There is no problem {slug!r}")
        return Response(TYPES[slug]._asdict())


# Under the path that `Problem.within` expects.
PROBLEM_TYPES = ("problems/<slug:slug>/", ProblemTypeDetail, "problem-type")
