"""System checks for mistakes in the settings that would only show at run time."""

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004
from django.db import connections
from psycopg import IsolationLevel

from .conf import AppSettings, conf
from .models import Aggregate
from .routing import database, has_store
from .storage.query_files import fetch_tuples


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
    """Check that the isolation level exists, and warn of one other than READ COMMITTED."""
    if (configured := _configured_isolation()) not in [*IsolationLevel]:
        return [
            Error(
                f"isolation_level in OPTIONS of the event store's database is {configured!r}.",
                hint="Leave it out. Other levels are members of psycopg.IsolationLevel.",
                id="events.E004",
            )
        ]
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
    """Return the isolation level that the settings give the event store's database.

    None stands for READ COMMITTED, and for a value that is not a level.
    """
    stricter = (IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE)
    return next((level.name.replace("_", " ") for level in stricter if level == _configured_isolation()), None)


def _configured_isolation() -> Any:
    return connections[database()].settings_dict["OPTIONS"].get("isolation_level") or IsolationLevel.READ_COMMITTED


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
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the values of the settings `EVENTS_…`, and warn of names that resemble one of them."""
    return setting_messages(conf, error_id="events.E002", warning_id="events.W011")


def setting_messages(app_settings: AppSettings, *, error_id: str, warning_id: str) -> list[CheckMessage]:
    """Return the messages of `check` on the settings of an app."""
    messages: list[CheckMessage] = [
        Error(mistake.sentence(setting), hint=mistake.remedy, id=error_id)
        for setting, mistake in app_settings.mistakes()
    ]
    messages += [
        Warning(
            f"{name} is not a setting of the event store, and has no effect on it.",
            hint=f"Did you mean {meant}?",
            id=warning_id,
        )
        for name, meant in app_settings.misspelt()
    ]
    return messages


@register(deploy=True)
def check_throttled(**kwargs: Any) -> list[CheckMessage]:
    """Warn of appends, imports and exports without a throttle rate."""
    if any(conf.mistakes()):
        return []  # `check_settings` reports them, and settings with mistakes cannot be read
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


@register(Tags.database, deploy=True)
def check_categories_exist(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of permissions for categories that have no events, in a store that has some: the names may be misspelt."""
    alias = database()
    if alias not in (databases or ()) or any(conf.mistakes()) or not has_store(alias):
        return []
    aggregates = Aggregate.objects.using(alias)
    if not aggregates.exists():
        return []
    return [
        Warning(
            f"EVENTS_CATEGORY_PERMISSIONS names {category!r}, but the store has no event in this category.",
            hint="Compare the name with the ids of the aggregates: the category is the part before the first dash.",
            id="events.W012",
        )
        for category in conf.category_permissions
        if not aggregates.in_category(category).exists()
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
