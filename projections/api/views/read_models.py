"""The read models that come with the app."""

from datetime import date
from typing import Any

from django.db import models
from django.http import Http404
from rest_framework.request import Request
from rest_framework.response import Response

from events.api import parameters, schema
from events.api import serializers as store_serializers
from events.api.base import PageByAggregateId
from events.exceptions import InvalidEvent
from projections.api import serializers
from projections.models import AggregateActivity, DailyActivity, EventTypeActivity

from .base import AtLeast, page_after

LAST_TYPE = schema.query("last_type", store_serializers.NAME, "Only aggregates whose last event is of this type.")
BEFORE_DAY = schema.query("before", {"type": "string", "format": "date"}, "Only days before this one.")
DAYS = schema.query("days", {"type": "integer", "minimum": 1, "maximum": 366, "default": 30}, "How many days.")

READ_MODEL_ERRORS = (*schema.READ_ERRORS, 404, 503)


class AggregateActivityList(AtLeast, PageByAggregateId):
    """The first and the last event of each aggregate, by aggregate id, in pages."""

    projection = "aggregate_activity"
    view_permission = "projections.view_aggregateactivity"
    parameters = (*PageByAggregateId.parameters, LAST_TYPE)
    entries = "activity"

    @schema.operation(
        "list_aggregate_activity",
        "The first and the last event of each aggregate",
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
    """The first and the last event of one aggregate."""

    projection = "aggregate_activity"
    view_permission = "projections.view_aggregateactivity"

    @schema.operation(
        "get_aggregate_activity",
        "The first and the last event of one aggregate",
        serializers.AggregateActivitySerializer,
        serializers.AGGREGATE,
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request, aggregate_id: str) -> Response:
        self.check_readable(aggregate_id)
        row = AggregateActivity.objects.using(self.store.using).filter(aggregate_id=aggregate_id).first()
        if row is None:
            raise Http404(f"There is no aggregate {aggregate_id!r} in this read model")
        return Response(row_as_dict(row))


class EventTypeActivityList(AtLeast):
    """How many events of each type are stored, by type, in pages."""

    projection = "event_type_activity"
    view_permission = "projections.view_eventtypeactivity"
    by_category = False
    parameters = (schema.query("after", store_serializers.NAME, "Only types after this one."), schema.LIMIT)

    @schema.operation(
        "list_event_type_activity",
        "How many events of each type are stored",
        serializers.EventTypeActivityPageSerializer,
        {"activity": [serializers.TYPE], "next": None},
        errors=READ_MODEL_ERRORS,
    )
    def get(self, request: Request) -> Response:
        rows = EventTypeActivity.objects.using(self.store.using)
        if after := request.query_params.get("after"):
            rows = rows.filter(type__gt=after)
        found, following = page_after(self, rows, "type")
        return Response({"activity": [row_as_dict(row) for row in found], "next": following})


class DailyActivityList(AtLeast):
    """How many events of each category happened on each day: newest days first, whole days in each page."""

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
    """Return the fields of a row for JSON, without a generated key."""
    values = {
        field.name: field.value_from_object(row)
        for field in row._meta.concrete_fields
        if not isinstance(field, models.AutoField)
    }
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in values.items()}
