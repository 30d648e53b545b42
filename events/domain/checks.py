"""System checks of event types and aggregates."""

from collections import defaultdict
from typing import Any

from django.core.checks import CheckMessage, Error, register

from . import aggregates
from .codecs import problem_of
from .event_types import PayloadType, defined


@register()
def check_names(**kwargs: Any) -> list[CheckMessage]:
    """Check that each name belongs to one class."""
    by_name: defaultdict[str, list[PayloadType]] = defaultdict(list)
    for event_type in defined():
        for name in event_type.names:
            by_name[name].append(event_type)
    return [
        Error(
            f"{len(found)} classes stand for the event type {name!r}: {', '.join(each.place for each in found)}.",
            hint="Give one of them another name with type=…, or remove the name from its renamed_from.",
            id="events.domain.E001",
        )
        for name, found in by_name.items()
        if len(found) > 1
    ]


@register()
def check_fields(**kwargs: Any) -> list[CheckMessage]:
    """Check that the payloads of each class can be converted."""
    return [
        Error(
            f"Payloads of the event type {event_type.name!r} cannot be converted to JSON: {problem}.",
            hint="Give the fields other types, derive classes of a union from Value, or use register_codec.",
            obj=event_type.place,
            id="events.domain.E004",
        )
        for event_type in defined()
        if (problem := problem_of(event_type.payload_class))
    ]


@register()
def check_categories(**kwargs: Any) -> list[CheckMessage]:
    """Check that each category belongs to one aggregate class."""
    by_category: defaultdict[str, list[str]] = defaultdict(list)
    for each in aggregates.defined():
        by_category[each.category].append(aggregates.place_of(each))
    return [
        Error(
            f"{len(places)} classes stand for the category {category!r}: {', '.join(places)}.",
            hint="Give one of them another category, or make it abstract=True.",
            id="events.domain.E003",
        )
        for category, places in by_category.items()
        if len(places) > 1
    ]


@register()
def check_upcasters(**kwargs: Any) -> list[CheckMessage]:
    """Check that each version but the first has an upcaster."""
    return [
        Error(
            f"No upcaster makes version {version} of the event type {event_type.name!r}.",
            hint=f"Write one: @upcasts({event_type.payload_class.__name__}, to={version}).",
            obj=event_type.place,
            id="events.domain.E002",
        )
        for event_type in defined()
        for version in event_type.missing_upcasters
    ]
