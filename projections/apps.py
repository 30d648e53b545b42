"""The Django app of the projections."""

from django.apps import AppConfig


class ProjectionsConfig(AppConfig):
    name = "projections"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from events.signals import event_dispatched

        from .aggregate_activity import project
        from .conf import conf

        # Only when it is wanted: without a subscriber an append is a single statement.
        if conf.aggregate_activity:
            event_dispatched.connect(project, dispatch_uid="projections.aggregate_activity")
