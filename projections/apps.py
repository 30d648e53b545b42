"""The Django app of the projections."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ProjectionsConfig(AppConfig):
    name = "projections"
    default_auto_field = "django.db.models.BigAutoField"
    eager_events = "projections.testing.run_until_caught_up"  # what events.testing calls in place of workers

    def ready(self) -> None:
        from events.monitoring import consumers, diagnostics, grants, metrics
        from events.storage import fixtures

        from . import (
            checks,  # noqa: F401  # checks register themselves
            registry,
        )
        from .engine import inline

        registry.autodiscover()
        inline.subscribe_all()
        post_migrate.connect(_register, sender=self)
        fixtures.guard(self)
        diagnostics.register_module("projections.operations.doctor")
        grants.register_module("projections.operations.rights")
        metrics.register_module("projections.operations.metrics")
        consumers.register(registry.consumers_of)


def _register(using: str, **kwargs: Any) -> None:
    """Register new projections in the database, so that INLINE ones are live from the first event of an empty store."""
    from events.routing import database

    from .engine import registration

    if using == database() and registration.is_migrated():
        registration.register_all()
