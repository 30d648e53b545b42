"""The Django app of the event store."""

from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models.signals import post_migrate


class EventsConfig(AppConfig):
    name = "events"
    verbose_name = "Event store"
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: Any) -> None:
        super().__init__(app_name, app_module)
        # Django's own message does not name the way out.
        own = ("events", f"{EventsConfig.__module__}.{EventsConfig.__name__}")
        for entry in [entry for entry in settings.INSTALLED_APPS if entry not in own and type(self) is EventsConfig]:
            if AppConfig.create(entry).label == self.label:
                raise ImproperlyConfigured(
                    f"Two apps in INSTALLED_APPS have the label 'events': the event store and {entry!r}. Give the other"
                    " app another label in its AppConfig, and list that AppConfig."
                )

    def ready(self) -> None:
        from . import (
            authorization,
            checks,  # noqa: F401  # checks register themselves
        )
        from .monitoring import diagnostics
        from .storage import fixtures, identity

        post_migrate.connect(authorization.create_permissions, sender=self)
        post_migrate.connect(identity.save_limits, sender=self)
        fixtures.guard(self)
        for module in ("doctor", "rights", "locks", "unreadable"):
            diagnostics.register_module(f"events.monitoring.{module}")
