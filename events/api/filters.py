"""Which events a list shall hold, as query parameters."""

from django_filters import rest_framework as filters

from events.exceptions import InvalidEvent
from events.models import Event, EventQuerySet


class EventFilter(filters.FilterSet):
    type = filters.CharFilter(method="of_types", strip=False, help_text="Events of this type; may be repeated.")
    category = filters.CharFilter(method="in_categories", strip=False, help_text="Of this category; may be repeated.")
    aggregate_id = filters.CharFilter(strip=False, help_text="Events of this aggregate.")
    correlation_id = filters.CharFilter(method="correlated_by", strip=False, help_text="Of this id in the metadata.")
    recorded_at_after = filters.IsoDateTimeFilter("recorded_at", "gte", help_text="Stored then or later.")
    recorded_at_before = filters.IsoDateTimeFilter("recorded_at", "lte", help_text="Stored then or earlier.")
    timestamp_after = filters.IsoDateTimeFilter("timestamp", "gte", help_text="Happened then or later.")
    timestamp_before = filters.IsoDateTimeFilter("timestamp", "lte", help_text="Happened then or earlier.")

    repeatable = ("type", "category")
    moments = ("recorded_at_after", "recorded_at_before", "timestamp_after", "timestamp_before")

    class Meta:
        model = Event
        fields: list[str] = []

    def chosen(self) -> EventQuerySet:
        """Return the events that pass.

        Raises:
            InvalidEvent: a parameter cannot be read.
        """
        for name, errors in self.errors.items():
            raise InvalidEvent(name, f"is {self.data[name]!r}: {errors[0]}")
        events: EventQuerySet = self.qs
        return events

    def of_types(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.of_types(*self.data.getlist(name))

    def in_categories(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.in_category(*self.data.getlist(name))

    def correlated_by(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.correlated_by(value)
