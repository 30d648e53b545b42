"""The settings of the projections."""

from events.conf import AppSettings
from events.setting_kinds import Delays, LockSeconds, Seconds, Switch


class ProjectionsSettings(AppSettings, prefix="PROJECTIONS_"):
    """The settings `PROJECTIONS_…`."""

    aggregate_activity: Switch = False
    """Whether the read model `AggregateActivity` is kept; read at start."""

    event_type_activity: Switch = False
    """Whether the read model `EventTypeActivity` is kept; read at start."""

    daily_activity: Switch = False
    """Whether the read model `DailyActivity` is kept; read at start."""

    seals: Switch = False
    """Whether the workers seal the events, so that changed events can be detected; read at start."""

    retry_delays_seconds: Delays = (0.2, 1, 5, 25)
    """The delay before each retry of an event that failed."""

    max_lag_seconds: Seconds = 60.0
    """How long a projection may lag before the health endpoint fails."""

    max_wait_seconds: Seconds = 5.0
    """How long a request with `at_least` may wait for a projection."""

    max_swap_wait_seconds: LockSeconds = 30.0
    """How long the swap of a rebuild may wait for open transactions; appends of INLINE projections wait behind it."""

    idle_poll_seconds: Seconds = 0.045
    """How long an idle worker sleeps before it looks for new events."""


conf = ProjectionsSettings()
