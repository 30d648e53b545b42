"""The settings of the projections, read when they are used, so that `override_settings` works."""

from collections.abc import Sequence

from django.conf import settings


class ProjectionsSettings:
    """Each property is the Django setting `PROJECTIONS_` plus its name in capitals."""

    @property
    def aggregate_activity(self) -> bool:
        """Whether the read model `AggregateActivity` is kept; read at start. Default no."""
        return bool(getattr(settings, "PROJECTIONS_AGGREGATE_ACTIVITY", False))

    @property
    def event_type_activity(self) -> bool:
        """Whether the read model `EventTypeActivity` is kept; read at start. Default no."""
        return bool(getattr(settings, "PROJECTIONS_EVENT_TYPE_ACTIVITY", False))

    @property
    def daily_activity(self) -> bool:
        """Whether the read model `DailyActivity` is kept; read at start. Default no."""
        return bool(getattr(settings, "PROJECTIONS_DAILY_ACTIVITY", False))

    @property
    def seals(self) -> bool:
        """Whether the workers seal the events, so that they can be verified; read at start. Default no."""
        return bool(getattr(settings, "PROJECTIONS_SEALS", False))

    @property
    def retry_delays_seconds(self) -> Sequence[float]:
        """How long to wait before each further attempt at an event that failed. Default 0.2, 1, 5, 25."""
        return tuple(getattr(settings, "PROJECTIONS_RETRY_DELAYS_SECONDS", (0.2, 1, 5, 25)))

    @property
    def max_lag_seconds(self) -> float:
        """How far a projection may lie behind before the health endpoint fails. Default 60."""
        return float(getattr(settings, "PROJECTIONS_MAX_LAG_SECONDS", 60))

    @property
    def max_wait_seconds(self) -> float:
        """How long a request with `at_least` may wait for a projection. Default 5."""
        return float(getattr(settings, "PROJECTIONS_MAX_WAIT_SECONDS", 5))

    @property
    def idle_poll_seconds(self) -> float:
        """How long an idle worker sleeps before it looks for new events. Default 0.045."""
        return float(getattr(settings, "PROJECTIONS_IDLE_POLL_SECONDS", 0.045))


conf = ProjectionsSettings()
