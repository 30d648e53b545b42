"""Fixtures of Django with rows of the store: the database of a test takes them, any other database rejects them."""

import sys
from typing import Any

from django.apps import AppConfig
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.base.creation import TEST_DATABASE_PREFIX
from django.db.models.signals import pre_save

from events.exceptions import ImmutableEvent

INSTEAD = (
    "export_events and import_events move events. pg_dump and pg_restore move the whole database. Projections fill"
    " their tables again from the events"
)


def guard(app: AppConfig) -> None:
    """Have `check` called before a fixture's row of a model of `app` is saved, and leave the app out of `dumpdata`."""
    app.is_left_out_of_dumps = True  # type: ignore[attr-defined]
    for model in app.get_models():
        pre_save.connect(check, sender=model, dispatch_uid=f"{__name__}.check")


def check(sender: type[models.Model], raw: bool, using: str, **kwargs: Any) -> None:
    """Let a fixture's row pass the guards in a test (`serialized_rollback`), until the transaction of the load ends.

    Raises:
        ImmutableEvent: a fixture is loaded outside tests.
    """
    if not raw:
        return
    if not is_of_a_test(connections[using]):
        raise ImmutableEvent(f"A fixture cannot write {sender._meta.label}. {INSTEAD}")
    with connections[using].cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")


def is_of_a_test(connection: BaseDatabaseWrapper) -> bool:
    """Return whether a test runner is at work, on a database that it made.

    Both are needed: Django's tutorial sets up the environment of a test in a shell, on the project's own database. The
    runner renames the connection to its database: to TEST NAME, or to the project's name with a prefix, and copies for
    parallel processes have a suffix behind it.
    """
    name, test_name = str(connection.settings_dict["NAME"]), connection.settings_dict["TEST"].get("NAME")
    made = name == test_name or name.startswith(f"{test_name}_" if test_name else TEST_DATABASE_PREFIX)
    utils = sys.modules.get("django.test.utils")  # importing it would take every process a tenth of its start
    return made and utils is not None and hasattr(utils._TestState, "saved_data")
