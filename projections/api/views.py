"""The projections over HTTP: how they are, whether all is well, and the read models that come with the app."""

from dataclasses import asdict
from datetime import date
from typing import Any, ClassVar

from django.db import DatabaseError, models
from django.http import Http404
from rest_framework import status as http
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import parameters, schema
from events.api import serializers as store_serializers
from events.api.problems import Problem
from events.api.views.base import PageByAggregateId, StoreView
from events.exceptions import InvalidEvent
from projections import registry, waiting
from projections.conf import conf
from projections.exceptions import NotCaughtUp, UnknownProjection
from projections.models import AggregateActivity, Build, DailyActivity, EventTypeActivity, ParkedEvent
from projections.operations import status

from . import serializers

AT_LEAST = schema.query("at_least", store_serializers.POSITION, "Wait until the projection has come to this position.")
LAST_TYPE = schema.query("last_type", store_serializers.NAME, "Those whose last event is of this type.")
BEFORE_DAY = schema.query("before", {"type": "string", "format": "date"}, "The days before this one.")
DAYS = schema.query("days", {"type": "integer", "minimum": 1, "maximum": 366, "default": 30}, "How many days.")

READ_MODEL_ERRORS = (*schema.READ_ERRORS, 404, 503)


class ProjectionList(StoreView):
    """How every projection is."""

    view_permission = "projections.view_projectionstate"
    by_category = False

    @schema.operation(
        "list_projections",
        "How every projection is",
        serializers.ProjectionsSerializer,
        {"projections": [serializers.PROJECTION]},
    )
    def get(self, request: Request) -> Response:
        return Response({"projections": [asdict(each) for each in status.reports()]})


class ProjectionDetail(StoreView):
    """How one projection is."""

    view_permission = "projections.view_projectionstate"
    by_category = False

    @schema.operation(
        "get_projection",
        "How one projection is",
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
    """The events that a projection could not handle, and those that wait behind them, by position."""

    view_permission = "projections.view_parkedevent"
    by_category = False
    parameters = (schema.AFTER_POSITION, schema.LIMIT)

    @schema.operation(
        "list_parked_events",
        "The events that a projection could not handle",
        serializers.ParkedPageSerializer,
        serializers.PARKED,
        errors=(*schema.READ_ERRORS, 404),
    )
    def get(self, request: Request, name: str) -> Response:
        try:
            registry.get(name)
        except UnknownProjection as error:
            raise Http404(str(error)) from error
        limit = parameters.limit(request)
        parked = ParkedEvent.objects.using(self.store.using).filter(
            projection=name, build=Build.LIVE, position__gt=parameters.integer(request, "after", 0)
        )
        found = list(parked.order_by("position")[: limit + 1])
        return Response(
            {
                "parked": [_parked_as_dict(event) for event in found[:limit]],
                "next": self.link(after=found[limit - 1].position) if len(found) > limit else None,
            }
        )


class Health(StoreView):
    """Whether projections keep up: 200, or 503 with those that do not. For monitors, so anybody may ask.

    Who may see the projections gets the reasons as well.
    """

    view_permission = "projections.view_projectionstate"
    by_category = False
    permission_classes = [AllowAny]

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
            return Response({"status": "failing", "failing": ["database"]}, status=http.HTTP_503_SERVICE_UNAVAILABLE)
        answer: dict[str, Any] = {"status": "failing" if problems else "ok", "failing": sorted(problems)}
        if self.readable:
            answer["reasons"] = problems
        return Response(answer, status=http.HTTP_503_SERVICE_UNAVAILABLE if problems else http.HTTP_200_OK)


class AtLeast(StoreView):
    """A view of a read model that can be asked for rows as of a position: `?at_least=POSITION`.

    The request then waits for the projection, up to `PROJECTIONS_MAX_WAIT_SECONDS`, and answers 503 when it takes
    longer. Mix it into the views of your own read models, and name the projection.
    """

    projection: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if AT_LEAST not in cls.parameters:
            cls.parameters = (*cls.parameters, AT_LEAST)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        position = parameters.integer(request, "at_least", None)
        if position is not None:
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
            return super().handle_exception(Http404("This read model is not switched on here"))
        return super().handle_exception(exc)


class AggregateActivityList(AtLeast, PageByAggregateId):
    """What has happened to each aggregate, by aggregate id, a page at a time."""

    projection = "aggregate_activity"
    view_permission = "projections.view_aggregateactivity"
    parameters = (*PageByAggregateId.parameters, LAST_TYPE)
    entries = "activity"

    @schema.operation(
        "list_aggregate_activity",
        "What happened to each aggregate",
        serializers.AggregateActivityPageSerializer,
        {"activity": [serializers.AGGREGATE], "next": None},
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = AggregateActivity.objects.all()
        if last_type := request.query_params.get("last_type"):
            rows = rows.filter(last_type=last_type)
        return self.page(rows, row_as_dict)


class AggregateActivityDetail(AtLeast):
    """What has happened to one aggregate."""

    projection = "aggregate_activity"
    view_permission = "projections.view_aggregateactivity"

    @schema.operation(
        "get_aggregate_activity",
        "What happened to one aggregate",
        serializers.AggregateActivitySerializer,
        serializers.AGGREGATE,
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request, aggregate_id: str) -> Response:
        self.check_readable(aggregate_id)
        row = AggregateActivity.objects.using(self.store.using).filter(aggregate_id=aggregate_id).first()
        if row is None:
            raise Http404(f"Nothing is known of an aggregate {aggregate_id!r}")
        return Response(row_as_dict(row))


class EventTypeActivityList(AtLeast):
    """How often events of each type were stored, by type, a page at a time."""

    projection = "event_type_activity"
    view_permission = "projections.view_eventtypeactivity"
    by_category = False
    parameters = (schema.query("after", store_serializers.NAME, "Those after this type."), schema.LIMIT)

    @schema.operation(
        "list_event_type_activity",
        "How often events of each type were stored",
        serializers.EventTypeActivityPageSerializer,
        {"activity": [serializers.TYPE], "next": None},
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = EventTypeActivity.objects.using(self.store.using).order_by("type")
        if after := request.query_params.get("after"):
            rows = rows.filter(type__gt=after)
        limit = parameters.limit(request)
        found = list(rows[: limit + 1])
        following = self.link(after=found[limit - 1].type) if len(found) > limit else None
        return Response({"activity": [row_as_dict(row) for row in found[:limit]], "next": following})


class DailyActivityList(AtLeast):
    """How many events of each category happened on each day: the newest days first, whole days to a page."""

    projection = "daily_activity"
    view_permission = "projections.view_dailyactivity"
    parameters = (schema.CATEGORY, BEFORE_DAY, DAYS)

    @schema.operation(
        "list_daily_activity",
        "How many events happened on each day",
        serializers.DailyActivityPageSerializer,
        {"activity": [serializers.DAY], "next": None},
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = DailyActivity.objects.using(self.store.using).within(self.readable.names)
        if category := request.query_params.get("category"):
            rows = rows.filter(category=category)
        if before := _day(request, "before"):
            rows = rows.filter(day__lt=before)
        days = parameters.integer(request, "days", 30, minimum=1, maximum=366)
        wanted = list(rows.order_by("-day").values_list("day", flat=True).distinct()[: days + 1])
        more = len(wanted) > days
        found = rows.filter(day__in=wanted[:days]).order_by("-day", "category")
        following = self.link(before=wanted[days - 1].isoformat()) if more else None
        return Response({"activity": [row_as_dict(row) for row in found], "next": following})


def _day(request: Request, name: str) -> date | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidEvent(name, f"is {text!r}; give a day such as 2030-01-31") from None


def row_as_dict(row: models.Model) -> dict[str, Any]:
    """Return a row of a read model as JSON takes it, without a generated key."""
    values = {
        field.name: field.value_from_object(row)
        for field in row._meta.concrete_fields
        if not isinstance(field, models.AutoField)
    }
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()}


def _parked_as_dict(event: ParkedEvent) -> dict[str, Any]:
    return {
        "position": event.position,
        "aggregate_id": event.aggregate_id,
        "type": event.type,
        "parked_at": event.parked_at.isoformat(),
        "attempts": event.attempts,
        "error": event.error,
        "waits": not event.error,
    }
