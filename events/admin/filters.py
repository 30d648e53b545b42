"""The filters beside the lists. None of them reads a table to know what to offer."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.text import capfirst

from events import authorization
from events.models import Aggregate, AggregateQuerySet, EventQuerySet
from events.monitoring import statistics
from events.types import EARLIEST, LATEST
from events.validation import MAX_NAME_CHARACTERS

from .suggestions import distinct_values, known_types

# How far `recorded_at` may run against the positions, where the clock of the database server was set back.
CLOCK_SLACK = timedelta(hours=1)
_MINUTE = "%Y-%m-%dT%H:%M"


class DistinctValuesFilter(admin.SimpleListFilter):
    """A filter on an indexed column that offers the values there are, as far as the user may know them."""

    def __init__(self, *args: Any) -> None:
        self.title = self.parameter_name or ""
        super().__init__(*args)

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        using = model_admin.get_queryset(request).db
        readable = authorization.readable(
            request.user, f"{model_admin.opts.app_label}.view_{model_admin.opts.model_name}"
        )
        return [(value, value) for value in self.values(readable, using)]

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        """Return what to offer, of the categories that are `readable`."""
        raise NotImplementedError


class CategoryFilter(DistinctValuesFilter):
    """The aggregates of a category, or their events."""

    parameter_name = "category"

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        if readable.names is not None:
            return sorted(readable.names)
        return distinct_values(Aggregate, "category", using)

    def queryset(self, request: HttpRequest, queryset: Any) -> models.QuerySet | None:
        return queryset.in_category(self.value()) if self.value() is not None else None

    def of_aggregates(self, aggregates: AggregateQuerySet) -> AggregateQuerySet:
        """Narrow the aggregates that the events in the list can belong to."""
        category = self.value()
        return aggregates if category is None else aggregates.in_category(category)


class TypeFilter(DistinctValuesFilter):
    """The events of a type."""

    parameter_name = "type"

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        return known_types(readable.names, using)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.of_types(self.value()) if self.value() is not None else None


class InputFilter(admin.ListFilter):
    """A filter whose values are typed. It is a form of its own, which keeps what else narrows the list."""

    template = "admin/events/filter_input.html"
    parameters: tuple[str, ...]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            given = "".join(params.pop(name, [""])[-1:]).strip()
            if len(given) > MAX_NAME_CHARACTERS:
                messages.error(
                    request, f"{name}: more than {MAX_NAME_CHARACTERS} characters, which nothing has; it was left out."
                )
            elif given:
                self.used_parameters[name] = given

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the links beside the form: here, the one that leaves the filter out."""
        others = changelist.get_query_string(remove=list(self.parameters))
        self.kept = parse_qsl(others.removeprefix("?"), keep_blank_values=True)
        yield {"selected": not self.used_parameters, "query_string": others, "display": "All"}


class TextFilter(InputFilter):
    """A filter on one text, all of it."""

    @property
    def inputs(self) -> list[dict[str, str]]:
        return [{"name": self.parameters[0], "type": "search", "label": str(capfirst(self.title)), "value": self.value}]

    @property
    def value(self) -> str:
        return str(self.used_parameters.get(self.parameters[0], ""))


class CorrelationFilter(TextFilter):
    """The events of one correlation id."""

    title = "correlation id"
    parameters = ("correlation_id",)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.correlated_by(self.value) if self.value else None


class AggregateFilter(TextFilter):
    """The events of one aggregate. Its history has links that lead here; nobody else needs to see it."""

    title = "aggregate id"
    parameters = ("aggregate_id",)

    def has_output(self) -> bool:
        return bool(self.value)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.of_aggregate(self.value) if self.value else None

    def of_aggregates(self, aggregates: AggregateQuerySet) -> AggregateQuerySet:
        """Narrow the aggregates that the events in the list can belong to."""
        return aggregates.filter(pk=self.value) if self.value else aggregates


class RecordedFilter(InputFilter):
    """The events stored between two moments."""

    title = "when it was stored"
    parameters = ("recorded_from", "recorded_before")

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.moments: dict[str, datetime] = {}
        for name, value in self.used_parameters.items():
            given = str(value)
            if moment := _moment(given):
                self.moments[name] = moment
            else:
                messages.error(
                    request, f"{name}: {given!r} is no date and time such as 2026-11-23T14:00; it was left out."
                )

    @property
    def inputs(self) -> list[dict[str, str]]:
        shown = {name: timezone.localtime(moment).strftime(_MINUTE) for name, moment in self.moments.items()}
        return [
            {"name": name, "type": "datetime-local", "label": label, "value": shown.get(name, "")}
            for name, label in zip(self.parameters, ("From", "Before"), strict=True)
        ]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield from super().choices(changelist)
        now = timezone.localtime()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        for display, since in (
            ("Past hour", now - timedelta(hours=1)),
            ("Today", today),
            ("Past 7 days", today - timedelta(days=7)),
            ("Past 30 days", today - timedelta(days=30)),
        ):
            wanted = {"recorded_from": since.strftime(_MINUTE)}
            yield {
                "selected": self.used_parameters == wanted,
                "query_string": changelist.get_query_string(wanted, ["recorded_before"]),
                "display": display,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        lookups = dict(zip(self.parameters, ("recorded_at__gte", "recorded_at__lt"), strict=True))
        return queryset.filter(**{lookups[name]: moment for name, moment in self.moments.items()})  # type: ignore[no-any-return]

    def positions(self, using: str) -> tuple[int, int | None]:
        """Return positions between which the events of that time lie, so that the others need not be looked at."""
        since, before = (self.moments.get(name) for name in self.parameters)
        return (
            statistics.position_at(since - CLOCK_SLACK, using) if since else 0,
            statistics.position_at(before + CLOCK_SLACK, using) + 1 if before else None,
        )


def _moment(given: str) -> datetime | None:
    """Return the moment of an ISO date, or date and time, in the current time zone unless it names one."""
    try:
        moment = parse_datetime(given if len(given) > 10 else f"{given}T00:00")
        if moment and timezone.is_naive(moment):
            moment = timezone.make_aware(moment)
        # Nothing lies beyond, and from there an hour more or another time zone is still within Python's years.
        return moment and min(max(moment, EARLIEST), LATEST)
    except (ValueError, OverflowError):
        return None
