"""The base class of the views of read models, and pages ordered by a unique key."""

from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from rest_framework import status as http
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import parameters, schema
from events.api import serializers as store_serializers
from events.api.base import StoreView
from events.api.problems import Problem
from projections import registry, waiting
from projections.conf import conf
from projections.exceptions import NotCaughtUp, UnknownProjection

AT_LEAST = schema.query("at_least", store_serializers.POSITION, "Wait until the projection has reached this position.")


def page_after(view: StoreView, rows: QuerySet, key: str) -> tuple[list[Any], str | None]:
    """Return the first rows by `key`, as many as the request asks for, and the link to the next page."""
    limit = parameters.limit(view.request)
    found = list(rows.order_by(key)[: limit + 1])
    return found[:limit], view.link(after=getattr(found[limit - 1], key)) if len(found) > limit else None


class AtLeast(StoreView):
    """A view of a read model that waits with `?at_least=POSITION` until the projection has reached this position.

    It waits at most `PROJECTIONS_MAX_WAIT_SECONDS`; then the response has the status 503. Use it as a base class of the
    views of your read models, and set `projection`.
    """

    projection: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if AT_LEAST not in cls.parameters:
            cls.parameters = (*cls.parameters, AT_LEAST)

    def is_usable(self) -> bool:
        is_enabled = self.projection in {each.name for each in registry.all_projections()}
        return super().is_usable() and is_enabled

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        position = parameters.integer(request, "at_least", None)
        if position is not None and request.method in ("GET", "HEAD"):
            self.check_given_out("at_least", position)
            waiting.wait_for(self.projection, position, conf.max_wait_seconds)

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, NotCaughtUp):
            return Problem(
                http.HTTP_503_SERVICE_UNAVAILABLE,
                str(exc),
                "not-caught-up",
                headers={"Retry-After": "1"},
                projection=exc.projection,
                position=exc.reached,
                lag_events=exc.lag_events,
            )
        if isinstance(exc, UnknownProjection):
            return super().handle_exception(Http404("This read model is not enabled in the settings"))
        return super().handle_exception(exc)
