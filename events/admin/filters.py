"""The filters of the lists. None of them scans a table to find its choices."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import capfirst

from events import authorization
from events.models import AggregateQuerySet, EventQuerySet
from events.monitoring import statistics
from events.validation import MAX_NAME_CHARACTERS
from events.visible import visible

from .browsing import moment_of
from .suggestions import known_categories, known_types

# `recorded_at` may fall by this much as positions rise, because the database server's clock may be set back.
CLOCK_SLACK = timedelta(hours=1)
_MINUTE = "%Y-%m-%dT%H:%M"


class DistinctValuesFilter(admin.SimpleListFilter):
    """A filter on an indexed column that offers the existing values that the user may know."""

    template = "admin/events/filter_input.html"

    def __init__(self, *args: Any) -> None:
        self.title = self.parameter_name or ""
        super().__init__(*args)

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin) -> list[tuple[str, str]]:
        using = model_admin.get_queryset(request).db
        readable = authorization.readable(
            request.user, f"{model_admin.opts.app_label}.view_{model_admin.opts.model_name}"
        )
        return [(value, visible(value)) for value in self.values(readable, using)]

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        """Return the choices from the `readable` categories."""
        raise NotImplementedError


class CategoryFilter(DistinctValuesFilter):
    """A filter by category, for aggregates and events."""

    parameter_name = "category"

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        if readable.names is not None:
            return sorted(readable.names)
        return known_categories(using)

    def queryset(self, request: HttpRequest, queryset: Any) -> models.QuerySet | None:
        return queryset.in_category(self.value()) if self.value() is not None else None

    def of_aggregates(self, aggregates: AggregateQuerySet) -> AggregateQuerySet:
        """Return the aggregates that pass the filter."""
        category = self.value()
        return aggregates if category is None else aggregates.in_category(category)


class TypeFilter(DistinctValuesFilter):
    """A filter by event type."""

    parameter_name = "type"

    def values(self, readable: authorization.Categories, using: str) -> list[str]:
        return known_types(readable.names, using)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.of_types(self.value()) if self.value() is not None else None


class InputFilter(admin.ListFilter):
    """A filter with typed values. It has its own form, which keeps the other filters."""

    template = "admin/events/filter_input.html"
    parameters: tuple[str, ...]

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.parameter_name = self.parameters[0]  # django-unfold and other packages ask every filter for one
        self.form = f"filter-by-{self.parameter_name}"  # the id of its form
        for name in self.parameters:
            value = "".join(params.pop(name, [""])[-1:])  # not stripped: an id may begin or end with a space
            if len(value) > MAX_NAME_CHARACTERS:
                messages.error(
                    request, f"{name} has more than {MAX_NAME_CHARACTERS} characters; the filter was ignored."
                )
            elif value:
                self.used_parameters[name] = value

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the links beside the form: here, the link without the filter."""
        others = changelist.get_query_string(remove=list(self.parameters))
        self.kept = parse_qsl(others.removeprefix("?"), keep_blank_values=True)
        yield {"selected": not self.used_parameters, "query_string": others, "display": "All"}


class TextFilter(InputFilter):
    """A filter by the exact value of a text."""

    @property
    def inputs(self) -> list[dict[str, str]]:
        return [{"name": self.parameters[0], "type": "search", "label": str(capfirst(self.title)), "value": self.value}]

    @property
    def value(self) -> str:
        return str(self.used_parameters.get(self.parameters[0], ""))


class CorrelationFilter(TextFilter):
    """A filter by correlation id."""

    title = "correlation id"
    parameters = ("correlation_id",)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.correlated_by(self.value) if self.value else None


class AggregateFilter(TextFilter):
    """A filter by aggregate, which is only visible in use: the links of a history set it."""

    title = "aggregate id"
    parameters = ("aggregate_id",)

    def has_output(self) -> bool:
        return bool(self.value)

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        return queryset.of_aggregate(self.value) if self.value else None

    def of_aggregates(self, aggregates: AggregateQuerySet) -> AggregateQuerySet:
        """Return the aggregates that pass the filter."""
        return aggregates.filter(pk=self.value) if self.value else aggregates


class RecordedFilter(InputFilter):
    """A filter by the time of storing."""

    title = "when it was stored"
    parameters = ("recorded_from", "recorded_before")

    def __init__(self, request: HttpRequest, *args: Any) -> None:
        super().__init__(request, *args)
        self.moments: dict[str, datetime] = {}
        for name, value in self.used_parameters.items():
            if moment := moment_of(str(value)):
                self.moments[name] = moment
            else:
                messages.error(
                    request,
                    f"{name}: {value!r} is not a date and time such as 2026-11-23T14:00; the filter was ignored.",
                )

    @property
    def inputs(self) -> list[dict[str, str]]:
        shown = {name: timezone.localtime(moment).strftime(_MINUTE) for name, moment in self.moments.items()}
        zone = timezone.get_current_timezone_name()
        return [
            {"name": name, "type": "datetime-local", "label": f"{label} ({zone})", "value": shown.get(name, "")}
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
            parameters = {"recorded_from": since.strftime(_MINUTE)}
            yield {
                "selected": self.used_parameters == parameters,
                "query_string": changelist.get_query_string(parameters, ["recorded_before"]),
                "display": display,
            }

    def queryset(self, request: HttpRequest, queryset: Any) -> EventQuerySet | None:
        lookups = dict(zip(self.parameters, ("recorded_at__gte", "recorded_at__lt"), strict=True))
        return queryset.filter(**{lookups[name]: moment for name, moment in self.moments.items()})  # type: ignore[no-any-return]

    def positions(self, using: str) -> tuple[int, int | None]:
        """Return two positions, both excluded, between which all events of the filter are."""
        since, before = (self.moments.get(name) for name in self.parameters)
        return (
            statistics.position_at(since - CLOCK_SLACK, using) if since else 0,
            statistics.position_at(before + CLOCK_SLACK, using) + 1 if before else None,
        )
