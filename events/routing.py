"""The database of the store, chosen by the project's database routers."""

from django.db import router

from .models import Event


def database() -> str:
    """Return the alias of the database that holds the events, the checkpoints and the read models."""
    return router.db_for_write(Event)
