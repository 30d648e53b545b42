"""The rows of the board: what it shows of each projection, as text."""

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
    ReportedStatus.UNDECIDED: "bad",
    ReportedStatus.INCOMPLETE: "bad",
    ReportedStatus.STOPPED: "bad",
}


@dataclass(frozen=True)
class ProjectionRow:
    """A projection on the board.

    Attributes:
        state: the stored state; None if the projection is not registered yet.
        buttons: the operations that suit its state.
        url: the URL of its page; empty if the projection is not registered yet.
    """

    report: status.Report
    state: ProjectionState | None
    buttons: list[Button]
    url: str

    @property
    def tone(self) -> str:
        return TONES.get(self.report.status, "quiet")

    @property
    def problem(self) -> str:
        """Why the health endpoint fails for it; empty if the status says so already."""
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
        """How many percent of a rebuild are done, rounded down."""
        return None if self.report.rebuild is None else int(self.report.rebuild * 100)


def rows(site: str) -> list[ProjectionRow]:
    """Return a row for every projection, by name, with links that stay in an admin site."""
    states = ProjectionState.objects.using(database()).select_related("rebuild").in_bulk()
    return [_row(report, states.get(report.name), site) for report in status.reports()]


def row(state: ProjectionState, site: str) -> ProjectionRow:
    """Return the row of one projection."""
    return _row(status.report(state.name), state, site)


def _row(report: status.Report, state: ProjectionState | None, site: str) -> ProjectionRow:
    url = page_url(site, "projections_projectionstate_change", report.name) if state else ""
    return ProjectionRow(report, state, buttons_for(report, state), url)


@dataclass(frozen=True)
class Shard:
    """The progress of a shard."""

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
    """Return the first shards of a projection: those of the served rows, then those of a rebuild."""
    return [Shard(each) for each in state.checkpoints.using(database()).order_by("build", "shard")[:MAX_SHARDS]]


def format_duration(seconds: float) -> str:
    """Return a duration in the largest unit of which it has at least two."""
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:,.0f} {name}"
    return f"{seconds:.0f} s"


def format_rate(events_per_second: float) -> str:
    """Return a rate, with one decimal below 10."""
    if events_per_second < 0.05:
        return "0"
    return f"{events_per_second:.1f}" if events_per_second < 10 else f"{events_per_second:,.0f}"
