"""The metrics of the store, for Prometheus."""

from collections.abc import Sequence
from typing import Any, Final

from django import db
from django.contrib.auth.models import AnonymousUser
from django.utils.crypto import constant_time_compare
from django.utils.functional import cached_property
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.types import OpenApiTypes
from rest_framework.authentication import BaseAuthentication
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from events import authorization
from events.api import schema
from events.api.base import StoreView
from events.api.problems import Problem
from events.conf import conf
from events.storage import server_errors

try:
    from events.api import prometheus
except ImportError:  # the extra is not installed
    prometheus = None  # type: ignore[assignment]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
EXAMPLE: Final = """# HELP events_settled_position The position up to which readers see all events
# TYPE events_settled_position gauge
events_settled_position 5663.0
"""


class Scraper(AnonymousUser):
    """Who sends `EVENTS_METRICS_TOKEN`: may read the metrics, and nothing else."""

    @property
    def is_authenticated(self) -> Any:
        return True

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return perm == authorization.METRICS


class MetricsToken(BaseAuthentication):
    """`Authorization: Bearer EVENTS_METRICS_TOKEN`, which needs no database."""

    def authenticate(self, request: Request) -> tuple[Scraper, None] | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        expected = conf.metrics_token
        if kind.lower() == "bearer" and expected and constant_time_compare(token.strip(), expected):
            return Scraper(), None
        return None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


class _MetricsTokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = MetricsToken
    name = "metricsToken"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "The setting `EVENTS_METRICS_TOKEN`."}


class TextRenderer(BaseRenderer):
    """Text that is ready to be sent."""

    media_type = "text/plain"
    format = "txt"

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> Any:
        return data


class MetricsView(StoreView):
    """The state of the store and of its projections, read at the moment of the request.

    It takes the permission `events.view_metrics`, or the token `EVENTS_METRICS_TOKEN` of the server as
    `Authorization: Bearer …`. Every process answers alike.
    """

    view_permission = authorization.METRICS
    by_category = False
    renderer_classes: Sequence[type[BaseRenderer]] = [TextRenderer]

    def get_authenticators(self) -> list[BaseAuthentication]:
        return [MetricsToken(), *super().get_authenticators()]

    @cached_property
    def readable(self) -> authorization.Categories:
        may_read = self.request.user.has_perm(self.view_permission)
        return authorization.Categories(None if may_read else frozenset())

    @schema.operation(
        "get_metrics",
        "The metrics for Prometheus",
        OpenApiTypes.STR,
        EXAMPLE,
        errors=(400, 401, 403, 406, 429, 501, 503),
        media_type="text/plain",
    )
    def get(self, request: Request) -> Response:
        if prometheus is None:
            return Problem(501, "Metrics need the package prometheus-client: install the extra `metrics`", "no-metrics")
        try:
            return Response(prometheus.text(self.store.using), content_type=CONTENT_TYPE)
        except db.Error as error:
            return Problem(503, f"The database does not answer: {server_errors.first_line(error)}")


METRICS = ("metrics/", MetricsView, "metrics")
