"""The Django app of the projections."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ProjectionsConfig(AppConfig):
    name = "projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from . import checks, inline, registry  # noqa: F401  # checks register themselves

        registry.autodiscover()
        inline.subscribe_all()
        post_migrate.connect(_register, sender=self)


def _register(using: str, **kwargs: Any) -> None:
    """Let the database know of new projections; INLINE ones are live at once while the store is empty."""
    from . import registration

    if using == registration.database() and registration.is_migrated():
        registration.ensure_all()
