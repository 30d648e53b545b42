"""The Django app of the event store."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Event store"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import authorization, checks  # noqa: F401  # checks register themselves
        from .monitoring import diagnostics

        post_migrate.connect(authorization.create_permissions, sender=self)
        diagnostics.register_module("events.monitoring.doctor")
