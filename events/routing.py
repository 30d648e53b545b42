"""The database of the store, chosen by the project's database routers."""

from django.db import connections, router

from .models import Event


def database() -> str:
    """Return the alias of the database that holds the events, the checkpoints and the read models."""
    return router.db_for_write(Event)


def has_store(using: str) -> bool:
    """Return whether a database has the tables of the store."""
    return Event._meta.db_table in connections[using].introspection.table_names()


def where_the_store_is(using: str) -> str:
    """Return what to do about a database that has no tables of the store.

    `migrate` notes migrations as applied even if a router keeps their tables out of the database.
    """
    if router.allow_migrate_model(using, Event):
        return f"Run: manage.py migrate --database {using}"
    if using == database():
        return (
            "The routers disagree: db_for_write names this database for the app 'events', and allow_migrate keeps its"
            " tables out. Name the same database in both."
        )
    return f"The routers keep the store out of this database. Leave --database out; the default is {database()!r}."
