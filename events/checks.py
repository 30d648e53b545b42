"""System checks for mistakes in the settings that would only show at run time."""

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
from .storage.query_files import fetch_tuples

# The codename of its permission, such as `view_event:CATEGORY`, has at most 100 characters in Django.
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
    """Warn of an isolation level other than READ COMMITTED."""
    if (level := isolation_level()) is None:
        return []
    return [
        Warning(
            f"Transactions of the event store's database are {level}. Such a transaction cannot read the whole store,"
            " and its append fails with a serialization error when it meets another append.",
            hint="Leave isolation_level out of OPTIONS; single transactions may still set another level.",
            id="events.W007",
        )
    ]


def isolation_level() -> str | None:
    """Return the isolation level that the settings give the event store's database; None for READ COMMITTED."""
    configured = connections[database()].settings_dict["OPTIONS"].get("isolation_level")
    level = IsolationLevel(configured or IsolationLevel.READ_COMMITTED)
    if level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):  # the same in PostgreSQL
        return None
    return level.name.replace("_", " ")


@register()
def check_autocommit(**kwargs: Any) -> list[CheckMessage]:
    """Check that Django commits what is written."""
    alias = database()
    if connections[alias].settings_dict["AUTOCOMMIT"]:
        return []
    return [
        Error(
            f"The event store's database {alias!r} has autocommit off: events would be reported as stored, and never be"
            " committed.",
            hint="Remove AUTOCOMMIT from it in DATABASES; ATOMIC_REQUESTS makes a transaction of each request.",
            id="events.E011",
        )
    ]


@register()
def check_time_zones(**kwargs: Any) -> list[CheckMessage]:
    """Check that datetimes have time zones."""
    if settings.USE_TZ:
        return []
    return [Error("The event store needs timezone-aware datetimes.", hint="Set USE_TZ = True.", id="events.E003")]


@register()
def check_limits(**kwargs: Any) -> list[CheckMessage]:
    """Check that each limit is a whole number above 0, and each duration a number of seconds above 0."""
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
    """Check that EVENTS_CATEGORY_PERMISSIONS names categories."""
    return [
        Error(
            f"EVENTS_CATEGORY_PERMISSIONS names {category!r}, which is not a category.",
            hint=f"Give a name of 1 to {MAX_CATEGORY_CHARACTERS} characters without a dash.",
            id="events.E004",
        )
        for category in conf.category_permissions
        if not isinstance(category, str) or not 0 < len(category) <= MAX_CATEGORY_CHARACTERS or "-" in category
    ]


@register()
def check_cloudevents_source(**kwargs: Any) -> list[CheckMessage]:
    """Check that the `source` of this store's CloudEvents is a URI reference."""
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
    """Check that EVENTS_API_THROTTLE_RATES gives rates for known kinds of requests."""
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
    """Warn of appends, imports and exports without a throttle rate."""
    if {"append", "import", "export"} <= {*conf.api_throttle_rates}:
        return []
    return [
        Warning(
            "EVENTS_API_THROTTLE_RATES leaves appends, imports or exports without a limit: one client can keep the"
            " server busy.",
            hint='Set limits well above the needs of clients: {"append": "6000/min", "import": "60/hour", …}.',
            id="events.W008",
        )
    ]


@register(deploy=True)
def check_source_is_own(**kwargs: Any) -> list[CheckMessage]:
    """Warn of a `source` of CloudEvents that every store has."""
    if hasattr(settings, "EVENTS_CLOUDEVENTS_SOURCE"):
        return []
    return [
        Warning(
            f"EVENTS_CLOUDEVENTS_SOURCE is not set. Its default, {conf.cloudevents_source!r}, is the source of every"
            " store, so receivers cannot tell the CloudEvents of two stores apart.",
            hint="Set it to a URI of your own, such as https://shop.example/events.",
            id="events.W009",
        )
    ]


@register(Tags.database, deploy=True)
def check_rights(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of a database role that can write the store's tables without the append functions."""
    alias = database()
    if alias not in (databases or ()) or connections[alias].vendor != "postgresql":
        return []
    query = (
        "SELECT current_user, bool_or(has_table_privilege(oid, right_to)) FROM pg_class,"
        " unnest('{INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS right_to WHERE oid = to_regclass('events_event')"
    )
    ((role, may_write),) = fetch_tuples(alias, query)
    if not may_write:
        return []
    return [
        Warning(
            f"The database role {role!r} may write the table of events: it can switch the guards off and change"
            " stored events.",
            hint="Run the site as a role that may only append: manage.py events_grants prints the grants it needs.",
            id="events.W010",
        )
    ]
