"""The Django app of the event store."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Event store"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import access, checks  # noqa: F401  # checks register themselves

        post_migrate.connect(access.create_permissions, sender=self)
