"""System checks of event types and aggregates."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register

from . import aggregates
from .commands import Command, all_commands
from .event_types import PayloadType, defined
from .schemas import schema_of, schema_of_class


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
def check_commands(**kwargs: Any) -> list[CheckMessage]:
    """Check that each command that is open to users has a permission and arguments that can be read."""
    return [
        Error(
            f"The command {command.name!r} of {aggregates.place_of(command.aggregate_class)} {problem}.",
            hint=hint,
            obj=command.aggregate_class,
            id="events.domain.E005",
        )
        for command in all_commands()
        for problem, hint in _problems_of(command)
    ]


def _problems_of(command: Command) -> Iterator[tuple[str, str]]:
    label, _, codename = command.permission.partition(".")
    if not command.permission:
        yield "has no permission, so nobody may run it", 'Write @command(permission="…"), or remove @command.'
    elif not codename:
        yield f"has the permission {command.permission!r}", 'Give an app label and a name, such as "shop.pay_order".'
    elif label not in apps.app_configs:
        hint = f"Give the label of an installed app: {', '.join(sorted(apps.app_configs))}."
        yield f"has the permission {command.permission!r}, and no app has the label {label!r}", hint
    try:
        schema_of_class(command.arguments_class)
    except (NameError, TypeError) as error:
        yield f"has arguments that cannot be read: {error}", "Annotate each parameter with a type that JSON can give."


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


@register()
def check_fields(**kwargs: Any) -> list[CheckMessage]:
    """Check that each field has a form in JSON."""
    found: list[CheckMessage] = []
    for event_type in defined():
        try:
            schema_of(event_type)
        except TypeError as error:
            hint = "Give the field another annotation, or register a codec with events.domain.register_codec."
            found.append(Error(f"{error}.", hint=hint, obj=event_type.place, id="events.domain.E004"))
    return found
