"""Which events a list shall hold, as query parameters."""

from typing import Any

from django_filters import rest_framework as filters

from events.models import Event, EventQuerySet


class EventFilter(filters.FilterSet):
    type = filters.CharFilter(help_text="Events of this type.")
    category = filters.CharFilter(method="in_category", help_text="Events of aggregates in this category.")
    aggregate_id = filters.CharFilter(help_text="Events of this aggregate.")
    correlation_id = filters.CharFilter(method="correlated_by", help_text="Events whose metadata name this id.")
    recorded_at = filters.IsoDateTimeFromToRangeFilter(help_text="Stored from … to ….")
    timestamp = filters.IsoDateTimeFromToRangeFilter(help_text="Happened from … to ….")

    class Meta:
        model = Event
        fields: list[str] = []

    @classmethod
    def parameters(cls) -> list[str]:
        """Return the names of the query parameters."""
        form: Any = cls().form
        names = []
        for name, field in form.fields.items():
            suffixes = getattr(field.widget, "suffixes", None)
            names += [f"{name}_{suffix}" for suffix in suffixes] if suffixes else [name]
        return names

    def in_category(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.in_category(value)

    def correlated_by(self, events: EventQuerySet, name: str, value: str) -> EventQuerySet:
        return events.correlated_by(value)
