"""`manage.py setup_demo`: migrate the demo's database, and create an admin user and demo events."""

import logging
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, connection
from django.db.migrations.exceptions import InconsistentMigrationHistory
from django.db.models import Model
from django.test import override_settings
from django.utils import timezone
from rest_framework.authtoken.models import Token

from events.management.base import ReportingCommand
from events.models import Event
from events.monitoring import doctor
from events.storage import autocommit, server_errors
from eventstore_project import demo, postgres, secrets
from eventstore_project.reactions import Fulfilment
from projections.reactions import moving
from projections.workers.worker import Until, Worker

ADMIN = "admin"


class Command(ReportingCommand):
    help = "Migrate, create the user 'admin', and store demo events if the store is empty. Safe to run again."

    def so_far(self) -> str:
        return "Run the command again: it continues."

    def handle(self, *args: Any, **options: Any) -> None:
        autocommit.turn_on(DEFAULT_DB_ALIAS)
        migrate()
        make_admin()
        if not Event.objects.exists():
            count = demo.store_history(timezone.now())
            fill_read_models()
            self.stdout.write(f"{count} demo events stored.")


def migrate() -> None:
    """Apply the migrations.

    Before the first release, migrations are changed in place. So the database may have applied migrations with the same
    names and other contents.

    Raises:
        CommandError: the database belongs to another version of this project.
    """
    try:
        call_command("migrate", verbosity=0)
        fits = not any(doctor.functions(DEFAULT_DB_ALIAS)) and all(map(_has_its_columns, _own_models()))
    except (ProgrammingError, InconsistentMigrationHistory) as error:
        if server_errors.sqlstate_of(error) == server_errors.NO_RIGHT:
            raise
        fits = False
    if not fits:
        raise CommandError(
            f"The database ({postgres.database_description()}) was set up by another version of this project, and its"
            f" tables do not fit this one. {postgres.reset_instructions()}"
        )


def _own_models() -> Iterator[type[Model]]:
    for label in ("events", "events_domain", "projections", "eventstore_project"):
        yield from apps.get_app_config(label).get_models()


def _has_its_columns(model: type[Model]) -> bool:
    with connection.cursor() as cursor:
        columns = connection.introspection.get_table_description(cursor, model._meta.db_table)
    return {field.column for field in model._meta.local_concrete_fields} == {column.name for column in columns}


def fill_read_models() -> None:
    """Let projections handle the demo's events, and park the one that they cannot handle.

    The orders of the past are over: the process manager leaves them out.
    """
    moving.forward(Fulfilment.name, by="setup_demo", reason="the history of the demo")
    logging.disable(logging.ERROR)  # the parked event is intended
    try:
        with override_settings(PROJECTIONS_RETRY_DELAYS_SECONDS=()):
            Worker(until=Until.CAUGHT_UP).run()
    finally:
        logging.disable(logging.NOTSET)


def make_admin() -> User:
    """Return the user 'admin'; create it with a random password and an API token if it does not exist."""
    user = User.objects.filter(username=ADMIN).first()
    if user is None:
        user = User.objects.create_superuser(ADMIN, password=secrets.get_or_create("admin_password"))
    Token.objects.get_or_create(user=user)
    return user
