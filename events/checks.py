"""System checks: what would otherwise show up as a puzzle at run time."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import connections, router

from .conf import EventsSettings
from .models import Event

LIMITS = [f"EVENTS_{name.upper()}" for name, value in vars(EventsSettings).items() if isinstance(value, property)]


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that events go to PostgreSQL."""
    alias = router.db_for_write(Event)
    if alias not in (databases or ()) or connections[alias].vendor == "postgresql":
        return []
    return [
        Error(
            f"The event store needs PostgreSQL, but the database {alias!r} is {connections[alias].vendor}.",
            hint="Use the engine django.db.backends.postgresql, or route the app 'events' to such a database.",
            id="events.E001",
        )
    ]


@register()
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
    """Check that datetimes carry their time zone."""
    if settings.USE_TZ:
        return []
    return [Error("Events have moments, not wall-clock times.", hint="Set USE_TZ = True.", id="events.E003")]


@register()
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """Check that every limit that is set is a whole number above 0."""
    return [
        Error(f"{name} is {value!r}.", hint="Give a whole number above 0, or leave it out.", id="events.E002")
        for name in LIMITS
        if type(value := getattr(settings, name, 1)) is not int or value < 1
    ]
