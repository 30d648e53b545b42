"""The rows of the board: what it shows of each projection, as text."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from events.admin.durations import format_duration
from events.admin.links import page_url
from events.plurals import number_of_events
from events.routing import database
from projections.engine.checkpoints import rate_at
from projections.exceptions import UnknownProjection
from projections.models import Build, Checkpoint, ProjectionState
from projections.operations import lag, status
from projections.operations.rebuild_size import RebuildSize, rebuild_size
from projections.operations.status import ReportedStatus

from .actions import Button, buttons_for

MAX_SHARDS = 100

TONES = {
    ReportedStatus.RUNNING: "good",
    ReportedStatus.BUILDING: "busy",
    ReportedStatus.REBUILDING: "busy",
    ReportedStatus.PAUSED: "warning",
    ReportedStatus.NO_WORKER: "warning",
    ReportedStatus.WAITING: "warning",
    ReportedStatus.UNAVAILABLE: "warning",
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
    def attention(self) -> str:
        """How much attention it needs: "bad" if it fails, "warning" if somebody has to look at it, or nothing."""
        found = self.report
        if found.problem() or self.tone == "bad":
            return "bad"
        is_odd = found.status is ReportedStatus.ORPHANED or self.tone == "warning"
        return "warning" if is_odd or found.parked or found.last_error else ""

    @property
    def since(self) -> datetime | None:
        """When it got its status; None if it is running, or if that is not known."""
        return None if self.report.status is ReportedStatus.RUNNING else self.report.since

    @property
    def since_ago(self) -> str:
        return format_ago(self.since)

    @property
    def parked_ago(self) -> str:
        return format_ago(self.report.parked_since)

    @property
    def problem(self) -> str:
        """Why the health endpoint fails for it; empty if the status says so already."""
        return self.report.problem() if self.report.status is not ReportedStatus.STOPPED else ""

    @property
    def lag(self) -> str:
        found = self.report
        if not found.lag_events:
            return "none"
        more = found.lag_events >= lag.MAX_COUNTED_LAG
        number = f"{found.lag_events:,}+ events" if more else number_of_events(found.lag_events)
        return f"{number}, {format_duration(found.lag_seconds)}"

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
    def retrying(self) -> str:
        return f"{self.report.retrying:,}"

    @property
    def percent(self) -> int | None:
        """How many percent of a rebuild are done, rounded down."""
        return None if self.report.rebuild is None else int(self.report.rebuild * 100)


def rows(site: str) -> list[ProjectionRow]:
    """Return a row for every projection: those that fail first, then those that need attention, each by name.

    Its links stay in an admin site.
    """
    states = ProjectionState.objects.using(database()).select_related("rebuild").in_bulk()
    found = [_row(report, states.get(report.name), site) for report in status.reports()]
    return sorted(found, key=lambda each: ("bad", "warning", "").index(each.attention))


def row(state: ProjectionState, site: str) -> ProjectionRow:
    """Return the row of one projection."""
    return _row(status.report(state.name), state, site)


def _row(report: status.Report, state: ProjectionState | None, site: str) -> ProjectionRow:
    url = page_url(site, "projections_projectionstate_change", report.name) if state else ""
    return ProjectionRow(report, state, buttons_for(report, state), url)


@dataclass(frozen=True)
class AskedRebuild:
    """A rebuild that an operator asks for; without a size if there is no code for the projection."""

    name: str
    size: RebuildSize | None

    @property
    def duration(self) -> str:
        return format_duration(self.size.seconds) if self.size else ""


def rebuild_of(state: ProjectionState) -> AskedRebuild:
    """Return what a rebuild of a projection takes."""
    try:
        return AskedRebuild(state.name, rebuild_size(state))
    except UnknownProjection:
        return AskedRebuild(state.name, None)


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


def format_ago(moment: datetime | None) -> str:
    """Return how long ago a moment was; an empty string without a moment."""
    return f"{format_duration(max(0, int((timezone.now() - moment).total_seconds())))} ago" if moment else ""


def format_rate(events_per_second: float) -> str:
    """Return a rate, with one decimal below 10."""
    if events_per_second < 0.05:
        return "0"
    return f"{events_per_second:.1f}" if events_per_second < 10 else f"{events_per_second:,.0f}"
