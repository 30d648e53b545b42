"""The status of the projections: what they do, how far behind they are, and which errors they have."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db.models import Count, Exists, Min, OuterRef
from django.utils import timezone

from events.plurals import number_of_events
from events.routing import database
from events.storage import ordering
from projections import registry
from projections.base import Mode, Projection
from projections.conf import conf
from projections.engine import missed
from projections.engine.checkpoints import rate_at
from projections.models import Build, Checkpoint, Heartbeat, ParkedEvent, ProjectionState, Rebuild, Status

from . import lag


class ReportedStatus(StrEnum):
    """The status that operators see: it combines the stored status, the code and the rebuild of a projection."""

    NEW = "new"  # no worker has registered it yet
    RUNNING = "running"
    NO_WORKER = "no worker"  # it could run, but no worker does so
    PAUSED = "paused"  # by an operator
    STOPPED = "stopped"  # by an event that it could not handle, or by the breaker
    WAITING = "waiting"  # for newer code, which knows the schema version of the next event
    UNAVAILABLE = "unavailable"  # a system that the handler needs is away
    BUILDING = "building"  # INLINE, and not live yet
    REBUILDING = "rebuilding"
    OUTDATED = "outdated"  # the rows are of another version than the code, and are not updated until a rebuild
    UNDECIDED = "undecided"  # its tables held rows when it was registered; an operator rebuilds or keeps them
    INCOMPLETE = "incomplete"  # INLINE: events were stored without it, and its rows miss them until a rebuild
    ORPHANED = "orphaned"  # there is no code for it


@dataclass(frozen=True, kw_only=True)
class Report:
    """The status of one projection.

    Attributes:
        kind: "projection" or "reaction".
        name, mode, version: those of the code, or those of the rows if the code is gone.
        rows_version: the version of the rows that are served; 0 if there are none yet.
        status: what the projection is doing.
        status_reason: why it is not running.
        since: when it got this status; None if that is not known.
        position: its rows contain all events up to this position.
        lag_events: the number of later events, of any type, counted up to 10,000.
        lagging_since: when the first of these events was stored; None if there is none.
        lag_seconds: how long ago that was.
        rate: the events that it has handled per second, lately.
        missed: the number of events that were stored without it; INLINE only.
        retrying: the number of events that have failed, and are retried in the background.
        parked: the number of parked events: those that failed too often, and those that wait behind them.
        parked_since: when the first of them stepped aside.
        last_error: the error that stopped it, of the event that is retried next, or of the event that was parked last.
        attempts: how often the event that is retried next has failed.
        next_attempt_at: when this event is retried.
        rebuild: how much of a rebuild is done, from 0 to 1; None if no rebuild is running.
    """

    name: str
    kind: str
    mode: str
    version: int
    rows_version: int
    status: ReportedStatus
    status_reason: str
    since: datetime | None
    position: int
    lag_events: int
    lagging_since: datetime | None
    lag_seconds: float
    rate: float
    missed: int
    retrying: int
    parked: int
    parked_since: datetime | None
    last_error: str
    attempts: int
    next_attempt_at: datetime | None
    rebuild: float | None

    def problem(self) -> str:
        """Return why the health endpoint fails for this projection; empty if it is healthy."""
        if self.status is ReportedStatus.ORPHANED:
            return ""
        if self.status is ReportedStatus.STOPPED:
            return "it has stopped"
        if self.status is ReportedStatus.OUTDATED and self.mode == Mode.INLINE:
            return "its rows are of another version than the code, and miss events until it is rebuilt"
        if self.status is ReportedStatus.UNDECIDED:
            return "it has not started, because its tables already held rows"
        if self.status is ReportedStatus.INCOMPLETE:
            return f"its rows miss {number_of_events(self.missed)} until it is rebuilt"
        if self.status is ReportedStatus.WAITING and self.lag_seconds > conf.max_lag_seconds:
            return f"it waits for newer code and lags {self.lag_seconds:.0f} s behind; deploy the newer code"
        if self.status is ReportedStatus.NO_WORKER and self.lag_seconds > conf.max_lag_seconds:
            limit = f"the limit is {conf.max_lag_seconds:g} s"
            return f"no worker runs it, and it lags {self.lag_seconds:.0f} s behind; {limit}; start one: {_RUN}"
        if self.lag_seconds > conf.max_lag_seconds:
            return f"it lags {self.lag_seconds:.0f} s behind; the limit is {conf.max_lag_seconds:g} s"
        return ""


def reports(names: Sequence[str] = ()) -> list[Report]:
    """Return the reports of the projections called `names`, or of all projections if `names` is empty.

    Raises:
        UnknownProjection: no projection has one of the names.
    """
    using = database()
    by_name = {each.name: each for each in registry.all_projections()}
    states = ProjectionState.objects.using(using).select_related("rebuild").prefetch_related("checkpoints")
    known = {state.name: state for state in states}
    wanted = names or sorted({*by_name, *known})
    for name in wanted:
        if name not in known:
            registry.get(name)
    settled = ordering.settled_position(using)
    missing = missed.missed_events()
    aside, workers = _aside(), list(Heartbeat.objects.using(using))
    return [
        _report(
            by_name.get(name),
            known.get(name),
            settled,
            aside.get(name, _Aside()),
            missing.get(name, 0),
            _Workers.of(name, workers),
            name=name,
        )
        for name in wanted
    ]


@dataclass(frozen=True)
class _Workers:
    """The workers of a projection.

    Attributes:
        run: whether one runs it.
        rebuild: whether one would work on its rebuild.
        seen_at: when one was last seen that has been silent since, and has not ended by itself.
    """

    run: bool
    rebuild: bool
    seen_at: datetime | None

    @classmethod
    def of(cls, name: str, workers: Sequence[Heartbeat]) -> "_Workers":
        its = [each for each in workers if name in each.projections]
        alive = [each for each in its if each.is_alive]
        seen_at = max((each.seen_at for each in its if not each.rebuilds_only), default=None)
        return cls(any(not each.rebuilds_only for each in alive), bool(alive), seen_at)


@dataclass(frozen=True)
class _Aside:
    """The events of a projection that have stepped aside.

    Attributes:
        retried: the event that is retried next.
    """

    retrying: int = 0
    parked: int = 0
    parked_since: datetime | None = None
    retried: ParkedEvent | None = None


def _aside() -> dict[str, _Aside]:
    """Return the events that have stepped aside, by projection."""
    live = ParkedEvent.objects.using(database()).filter(build=Build.LIVE).order_by()
    retried = live.retried()
    behind = retried.filter(projection=OuterRef("projection"), aggregate_id=OuterRef("aggregate_id"))
    parked = live.exclude(Exists(behind)) if retried.exists() else live
    numbers = parked.values_list("projection").annotate(Count("pk"), Min("parked_at"))
    found = {name: _Aside(0, number, since) for name, number, since in numbers}
    for name, number in retried.values_list("projection").annotate(Count("pk")):
        first = retried.filter(projection=name).defer("traceback").order_by("next_attempt_at").first()
        found[name] = replace(found.get(name, _Aside()), retrying=number, retried=first)
    return found


def report(name: str) -> Report:
    """Return the report of one projection.

    Raises:
        UnknownProjection: no projection has this name.
    """
    return reports([name])[0]


def describe(
    projection: Projection | None, state: ProjectionState | None, rebuild: Rebuild | None, missing: int = 0
) -> tuple[ReportedStatus, str]:
    """Return the status of a projection, and the reason if it is not running."""
    if state is None:
        return ReportedStatus.NEW, "no worker has run yet"
    if projection is None:
        return ReportedStatus.ORPHANED, f"there is no code for it{_also_missed(state, missing)}"
    if rebuild and rebuild.error:
        return ReportedStatus.STOPPED, f"its rebuild failed at {rebuild.error}"
    if rebuild and state.status != Status.BUILDING:
        return ReportedStatus.REBUILDING, f"requested by {rebuild.by}"
    if state.status == Status.BUILDING:
        return ReportedStatus.BUILDING, "it handles the events that were stored before it was registered"
    if (state.version, state.mode) != (projection.version, projection.mode):
        return ReportedStatus.OUTDATED, f"rebuild it: the rows are of version {state.version} ({state.mode})"
    if missing:
        return ReportedStatus.INCOMPLETE, (
            f"rebuild it: {number_of_events(missing)} after position {lag.complete_position(state)} were stored without"
            " it, by processes that do not run its present code, or from SQL"
        )
    return ReportedStatus(state.status), state.status_reason


def _with_workers(status: ReportedStatus, reason: str, mode: str, workers: _Workers) -> tuple[ReportedStatus, str]:
    """Return a status and its reason, and say so if no worker does the work that the status names."""
    if status in (ReportedStatus.REBUILDING, ReportedStatus.BUILDING):
        return status, reason if workers.rebuild else f"{reason}; no worker does so, start one: {_RUN}"
    if status not in _RUN_BY_WORKERS or mode == Mode.INLINE or workers.run:
        return status, reason
    return ReportedStatus.NO_WORKER, f"start one: {_RUN}" + (f"; {reason}" if reason else "")


_RUN: Final = "manage.py run_projections"
_RUN_BY_WORKERS: Final = (ReportedStatus.RUNNING, ReportedStatus.WAITING, ReportedStatus.UNAVAILABLE)


def _with_wait(status: ReportedStatus, reason: str, checkpoints: Sequence[Checkpoint]) -> tuple[ReportedStatus, str]:
    """Return a status and its reason with what a shard waits for: newer code, or a system that is away."""
    if status not in _WORKING:
        return status, reason
    for waiting in checkpoints:
        if waiting.waiting_since:
            found, wait = ReportedStatus.WAITING, f"waits for newer code at position {waiting.failing_position}"
        elif waiting.unavailable_since:
            found, wait = ReportedStatus.UNAVAILABLE, f"waits at position {waiting.failing_position}: {waiting.error}"
        else:
            continue
        return (found, wait) if status is ReportedStatus.RUNNING else (status, f"{reason}; {wait}")
    return status, reason


_WORKING = (ReportedStatus.RUNNING, ReportedStatus.REBUILDING, ReportedStatus.BUILDING)


def _also_missed(state: ProjectionState, missing: int) -> str:
    return (
        f"; {number_of_events(missing)} after position {lag.complete_position(state)} were stored without it"
        if missing
        else ""
    )


def _report(
    projection: Projection | None,
    state: ProjectionState | None,
    settled: int,
    aside: _Aside,
    missing: int,
    workers: _Workers,
    *,
    name: str,
) -> Report:
    rebuild: Rebuild | None = getattr(state, "rebuild", None)
    checkpoints: list[Checkpoint] = list(state.checkpoints.all()) if state else []
    missing = max(0, missing)
    mode = str(projection.mode if projection else state.mode if state else "")
    status, reason = _with_wait(*describe(projection, state, rebuild, missing), checkpoints)
    status, reason = _with_workers(status, reason, mode, workers)
    position = lag.rows_position(projection, state) if state else 0
    if state and status is ReportedStatus.INCOMPLETE:
        position = lag.complete_position(state)
    now = timezone.now()
    failing = next((each for each in checkpoints if each.error), aside.retried)
    lagging_since = lag.lagging_since(position)
    return Report(
        name=name,
        kind=str(projection.kind if projection else state.kind if state else ""),
        mode=mode,
        version=projection.version if projection else state.version if state else 0,
        rows_version=state.version if state else 0,
        status=status,
        status_reason=reason,
        since=_since(status, state, checkpoints, lagging_since, workers),
        position=position,
        lag_events=lag.lag_events(position, settled),
        lagging_since=lagging_since,
        lag_seconds=max(0.0, (now - lagging_since).total_seconds()) if lagging_since else 0.0,
        rate=sum(rate_at(now, each) for each in checkpoints),
        missed=missing,
        retrying=aside.retrying,
        parked=aside.parked,
        parked_since=aside.parked_since,
        last_error=failing.error if failing else _last_parked_error(name) if aside.parked else "",
        attempts=failing.attempts if failing else 0,
        next_attempt_at=failing.next_attempt_at if failing else None,
        rebuild=progress(rebuild) if rebuild else None,
    )


def _since(
    status: ReportedStatus,
    state: ProjectionState | None,
    checkpoints: Sequence[Checkpoint],
    lagging_since: datetime | None,
    workers: _Workers,
) -> datetime | None:
    """Return when a projection got its status; `lagging_since` is the time of the first event that its rows lack."""
    rebuild: Rebuild | None = getattr(state, "rebuild", None)
    if rebuild and status is ReportedStatus.REBUILDING:
        return rebuild.started_at
    if rebuild and rebuild.error:  # its last progress
        return max((each.moved_at for each in checkpoints if each.build == Build.REBUILD), default=rebuild.started_at)
    if status is ReportedStatus.INCOMPLETE:
        return lagging_since
    if status is ReportedStatus.NO_WORKER:
        return workers.seen_at
    if status is ReportedStatus.WAITING:
        return min(each.waiting_since for each in checkpoints if each.waiting_since)
    if status is ReportedStatus.UNAVAILABLE:
        return min(each.unavailable_since for each in checkpoints if each.unavailable_since)
    if state is None or status in (ReportedStatus.OUTDATED, ReportedStatus.ORPHANED):
        return None
    return state.status_since


def _last_parked_error(name: str) -> str:
    parked = ParkedEvent.objects.using(database()).filter(projection=name, build=Build.LIVE).given_up()
    return parked.order_by("-parked_at").values_list("error", flat=True).first() or ""


def progress(rebuild: Rebuild) -> float:
    """Return how much of a rebuild is done, from 0 to 1."""
    start, settled = rebuild.projection.start_position, ordering.settled_position(database())
    rebuilt = [each.position for each in rebuild.projection.checkpoints.all() if each.build == Build.REBUILD]
    if not rebuilt or settled <= start:
        return 0.0
    return min(1.0, max(0.0, (sum(rebuilt) / len(rebuilt) - start) / (settled - start)))
