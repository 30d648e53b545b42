"""The settings of the projections."""

from django.conf import settings


class ProjectionsSettings:
    """Each property is the Django setting `PROJECTIONS_` plus its name in capitals."""

    @property
    def aggregate_activity(self) -> bool:
        """Whether the read model `AggregateActivity` is kept up to date; read at start. Default no."""
        return bool(getattr(settings, "PROJECTIONS_AGGREGATE_ACTIVITY", False))


conf = ProjectionsSettings()
