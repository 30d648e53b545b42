"""What the board shows of each projection, in the words and numbers that are on it."""

from dataclasses import dataclass

from django.utils import timezone

from events.admin.links import page_url
from events.routing import database
from projections.engine.checkpoints import rate_at
from projections.models import Build, Checkpoint, ProjectionState
from projections.operations import lag, status
from projections.operations.status import ReportedStatus

from .actions import Button, buttons_for

MAX_SHARDS = 100

TONES = {
    ReportedStatus.RUNNING: "good",
    ReportedStatus.BUILDING: "busy",
    ReportedStatus.REBUILDING: "busy",
    ReportedStatus.PAUSED: "warning",
    ReportedStatus.OUTDATED: "warning",
    ReportedStatus.STOPPED: "bad",
}


@dataclass(frozen=True)
class Row:
    """A projection on the board.

    Attributes:
        state: as the database knows it; None: it does not know it yet.
        buttons: what can be done to it.
    """

    report: status.Report
    state: ProjectionState | None
    buttons: list[Button]

    @property
    def url(self) -> str:
        """The address of its page; none before the database knows it."""
        return page_url("projections_projectionstate_change", self.report.name) if self.state else ""

    @property
    def tone(self) -> str:
        return TONES.get(self.report.status, "quiet")

    @property
    def problem(self) -> str:
        """What the health endpoint has against it, where its status does not say it already."""
        return self.report.problem() if self.report.status is not ReportedStatus.STOPPED else ""

    @property
    def lag(self) -> str:
        found = self.report
        if not found.lag_events:
            return "none"
        more = "+" if found.lag_events >= lag.MAX_COUNTED_LAG else ""
        events = "event" if found.lag_events == 1 else "events"
        return f"{found.lag_events:,}{more} {events}, {format_duration(found.lag_seconds)}"

    @property
    def position(self) -> str:
        return f"{self.report.position:,}"

    @property
    def rate(self) -> str:
        return format_rate(self.report.rate)

    @property
    def parked(self) -> str:
        return f"{self.report.parked:,}"

    @property
    def percent(self) -> int | None:
        """How much of a rebuild is done; 100 only when all of it is."""
        return None if self.report.rebuild is None else int(self.report.rebuild * 100)


def rows() -> list[Row]:
    """Return every projection there is, by name."""
    states = ProjectionState.objects.using(database()).select_related("rebuild").in_bulk()
    return [_row(report, states.get(report.name)) for report in status.reports()]


def row(state: ProjectionState) -> Row:
    """Return one projection."""
    return _row(status.report(state.name), state)


def _row(report: status.Report, state: ProjectionState | None) -> Row:
    return Row(report, state, buttons_for(report, state))


@dataclass(frozen=True)
class Shard:
    """How far a shard is."""

    checkpoint: Checkpoint

    @property
    def name(self) -> str:
        of = f"{self.checkpoint.shard + 1} of {self.checkpoint.shards}"
        return f"{of}, rebuild" if self.checkpoint.build == Build.REBUILD else of

    @property
    def position(self) -> str:
        return f"{self.checkpoint.position:,}"

    @property
    def rate(self) -> str:
        return format_rate(rate_at(timezone.now(), self.checkpoint))


def shards(state: ProjectionState) -> list[Shard]:
    """Return the first shards of a projection, those of a rebuild after those of the rows that are served."""
    return [Shard(each) for each in state.checkpoints.using(database()).order_by("build", "shard")[:MAX_SHARDS]]


def format_duration(seconds: float) -> str:
    """Return a time as people say it: in the unit that leaves a number of few digits."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.0f} s"


def format_rate(events_per_second: float) -> str:
    """Return a rate, of a slow one a digit more."""
    if events_per_second < 0.05:
        return "0"
    return f"{events_per_second:.1f}" if events_per_second < 10 else f"{events_per_second:,.0f}"
