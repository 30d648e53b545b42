"""The query parameters that filter events."""

from django_filters import rest_framework as filters
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request

from events.authorization import Categories
from events.exceptions import InvalidEvent
from events.models import Event, EventQuerySet

from . import parameters, schema, serializers


class EventFilter(filters.FilterSet):
    type = filters.CharFilter(method="of_types", strip=False, help_text="Events of this type; may be repeated.")
    category = filters.CharFilter(
        method="in_categories", strip=False, help_text="Events of this category; may be repeated."
    )
    aggregate_id = filters.CharFilter(strip=False, help_text="Events of this aggregate.")
    correlation_id = filters.CharFilter(
        method="correlated_by", strip=False, help_text="Events with this id in the metadata."
    )
    recorded_at_after = filters.IsoDateTimeFilter(
        "recorded_at", "gte", help_text="Events stored at this moment or later."
    )
    recorded_at_before = filters.IsoDateTimeFilter(
        "recorded_at", "lte", help_text="Events stored at this moment or earlier."
    )
    timestamp_after = filters.IsoDateTimeFilter(
        "timestamp", "gte", help_text="Events that happened at this moment or later."
    )
    timestamp_before = filters.IsoDateTimeFilter(
        "timestamp", "lte", help_text="Events that happened at this moment or earlier."
    )

    repeatable = ("type", "category")
    moments = ("recorded_at_after", "recorded_at_before", "timestamp_after", "timestamp_before")

    @classmethod
    def parameters(cls) -> list[OpenApiParameter]:
        """Return the filters as parameters of the OpenAPI schema."""
        return [
            schema.query(
                name,
                serializers.MOMENT if name in cls.moments else serializers.NAME,
                each.extra["help_text"],
                may_repeat=name in cls.repeatable,
            )
            for name, each in cls.base_filters.items()
        ]

    class Meta:
        model = Event
        fields: list[str] = []

    @classmethod
    def of(cls, request: Request, using: str, readable: Categories) -> EventQuerySet:
        """Return the events that match the filters of a request and that its user may read.

        Raises:
            InvalidEvent: a parameter is not valid.
        """
        query = request.query_params.copy()
        for name in cls.moments:
            if moment := parameters.moment_or_none(request, name):
                query[name] = moment.isoformat()
        filters_of_request = cls(query, queryset=Event.objects.using(using).within(readable.names))
        for name, errors in filters_of_request.errors.items():
            raise InvalidEvent(name, f"is {query[name]!r}: {errors[0]}")
        return filters_of_request.qs  # type: ignore[no-any-return]

    def of_types(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.of_types(*self.data.getlist(name))

    def in_categories(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.in_category(*self.data.getlist(name))

    def correlated_by(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.correlated_by(value)
