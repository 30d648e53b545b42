"""System checks: what would otherwise show up as a puzzle at run time."""

import re
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import connections
from psycopg import IsolationLevel

from .conf import conf
from .formats.uri import is_uri_reference
from .routing import database

# With the longest verb before it, its permission must fit into the 100 characters that Django has for a codename.
MAX_CATEGORY_CHARACTERS = 80
THROTTLED = ("read", "append", "import", "export", "stream")


@register(Tags.database)
def check_database(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check that events go to PostgreSQL."""
    alias = database()
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
def check_isolation_level(**kwargs: Any) -> list[CheckMessage]:
    """Warn of transactions that see the store as it was when they began."""
    if (level := isolation_level()) is None:
        return []
    return [
        Warning(
            f"Transactions of the event store's database are {level}: in one, the whole store cannot be read, and an"
            " append that meets another one fails, with a serialization error instead of an answer.",
            hint="Leave isolation_level out of its OPTIONS; single transactions may ask for another level.",
            id="events.W007",
        )
    ]


def isolation_level() -> str | None:
    """Return the isolation level that the settings ask for where events are stored; None when it is READ COMMITTED."""
    asked = connections[database()].settings_dict["OPTIONS"].get("isolation_level")
    level = IsolationLevel(asked or IsolationLevel.READ_COMMITTED)
    if level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):  # PostgreSQL knows no difference
        return None
    return level.name.replace("_", " ")


@register()
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
    """Check that datetimes carry their time zone."""
    if settings.USE_TZ:
        return []
    return [Error("Events have moments, not wall-clock times.", hint="Set USE_TZ = True.", id="events.E003")]


@register()
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """Check that every limit that is set is a whole number above 0, and every duration a number of seconds."""
    messages: list[CheckMessage] = [
        Error(f"{name} is {value!r}.", hint="Give a whole number above 0, or leave it out.", id="events.E002")
        for name in conf.settings_of(int)
        if type(value := getattr(settings, name, 1)) is not int or value < 1
    ]
    messages += [
        Error(f"{name} is {value!r}.", hint="Give seconds above 0, or leave it out.", id="events.E002")
        for name in conf.settings_of(float)
        if type(value := getattr(settings, name, 1)) not in (int, float) or not 0 < value < float("inf")
    ]
    return messages


@register()
def check_category_permissions(**kwargs: Any) -> list[CheckMessage]:
    """Check that every category with permissions of its own can be one."""
    return [
        Error(
            f"EVENTS_CATEGORY_PERMISSIONS names {category!r}, which is no category.",
            hint=f"A category has 1 to {MAX_CATEGORY_CHARACTERS} characters here, and no dash.",
            id="events.E004",
        )
        for category in conf.category_permissions
        if not isinstance(category, str) or not 0 < len(category) <= MAX_CATEGORY_CHARACTERS or "-" in category
    ]


@register()
def check_cloudevents_source(**kwargs: Any) -> list[CheckMessage]:
    """Check that our own CloudEvents name a source that others may accept."""
    source = conf.cloudevents_source
    if source and is_uri_reference(source):
        return []
    return [
        Error(
            f"EVENTS_CLOUDEVENTS_SOURCE is {source!r}.",
            hint="Give a URI reference that is not empty, such as https://shop.example or /shops/7.",
            id="events.E006",
        )
    ]


@register()
def check_throttle_rates(**kwargs: Any) -> list[CheckMessage]:
    """Check that every rate is one, of a kind of request that there is."""
    return [
        Error(
            f"EVENTS_API_THROTTLE_RATES[{kind!r}] is {rate!r}.",
            hint=f"Give a rate such as '600/min' for any of {', '.join(THROTTLED)}.",
            id="events.E005",
        )
        for kind, rate in conf.api_throttle_rates.items()
        if kind not in THROTTLED or not re.fullmatch(r"[0-9]+/(s|sec|second|m|min|minute|h|hour|d|day)", str(rate))
    ]


@register(deploy=True)
def check_throttled(**kwargs: Any) -> list[CheckMessage]:
    """Warn of requests that anybody with a log-in may send without end."""
    if {"append", "import", "export"} <= {*conf.api_throttle_rates}:
        return []
    return [
        Warning(
            "EVENTS_API_THROTTLE_RATES leaves appends, imports or exports without a limit: one client can keep the"
            " server busy.",
            hint='Set one that is well above what clients need: {"append": "6000/min", "import": "60/hour", …}.',
            id="events.W008",
        )
    ]


@register(deploy=True)
def check_source_is_own(**kwargs: Any) -> list[CheckMessage]:
    """Warn of CloudEvents that do not say whose they are."""
    if hasattr(settings, "EVENTS_CLOUDEVENTS_SOURCE"):
        return []
    return [
        Warning(
            f"EVENTS_CLOUDEVENTS_SOURCE is not set: {conf.cloudevents_source!r} is every store's source, and who"
            " receives CloudEvents of two of them cannot tell them apart.",
            hint="Set it to a URI of your own, such as https://shop.example/events.",
            id="events.W009",
        )
    ]


@register(Tags.database, deploy=True)
def check_rights(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of a database role that can write the store's tables past the append function."""
    alias = database()
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    with connections[alias].cursor() as cursor:
        cursor.execute(
            "SELECT current_user, bool_or(has_table_privilege(oid, right_to)) FROM pg_class,"
            " unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS right_to WHERE oid = to_regclass('events_event')"
        )
        role, may_write = cursor.fetchone()
    if not may_write:
        return []
    return [
        Warning(
            f"The database role {role!r} may write the table of events: with the guards switched off, it could change"
            " what is stored.",
            hint="Let the site run as a role that may only append: manage.py events_grants prints what it needs.",
            id="events.W010",
        )
    ]
