"""The schedule of a worker: the shards of its projections and rebuilds that it may work on."""

import logging
import os
import time
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connections, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from events.routing import database
from events.summaries import summary
from projections.base import Mode, Projection
from projections.engine.outages import is_outage
from projections.engine.registration import create_checkpoints, ensure_registered
from projections.exceptions import StillUnavailable, WaitsForNewerCode
from projections.models import Build, Checkpoint, ParkedEvent, ProjectionState, Rebuild, Status
from projections.rebuild import preparation
from projections.rebuild.locking import is_transient

logger = logging.getLogger(__name__)

# How often a worker plans again, to find resumed projections, rebuilds, and shards that other workers have released.
PLAN_SECONDS: Final = 1.0
IDLE_PLAN_SECONDS: Final = 3.0  # after IDLE_AFTER_SECONDS without work
IDLE_AFTER_SECONDS: Final = 10.0
# A worker that ends by itself gives up if what it needs is unavailable for this long.
GIVE_UP_SECONDS: Final = 30.0


@dataclass
class Task:
    """A shard to work on.

    Attributes:
        position: the position of the shard after the last plan or pass.
        up_to: the last position to handle; None for no limit.
        not_before: when to retry a failed event; None for now.
        waits: why the shard waits for newer code, or for a system that is away; empty if it does not.
        unavailable_since: since when that system is away; None if it waits for no system.
        retry_at: when an event that has stepped aside may have to be retried; None if none has.
    """

    projection: Projection
    checkpoint_id: int
    build: Build
    shard: int
    position: int
    up_to: int | None = None
    not_before: datetime | None = None
    waits: str = ""
    unavailable_since: datetime | None = None
    retry_at: datetime | None = None

    def __str__(self) -> str:
        shard = f"[{self.shard}]" if self.projection.shards > 1 else ""
        return f"{self.projection}{shard}" + (" (rebuild)" if self.build == Build.REBUILD else "")


class Schedule:
    """The tasks of one worker, planned again at intervals.

    Attributes:
        tasks: the tasks, in the order to work on them.
        settled: the settled position that every task has reached.
    """

    def __init__(self, projections: Sequence[Projection], *, rebuilds_only: bool) -> None:
        self.tasks: list[Task] = []
        self.settled = 0
        self._projections = projections
        self._rebuilds_only = rebuilds_only
        self._began = timezone.now()
        self._planned_at: float | None = None  # on the monotonic clock; None: plan in the next round

    def refresh_if_due(self, quiet_seconds: float) -> bool:
        """Plan again if the interval has passed; return whether it has.

        Args:
            quiet_seconds: how long the worker has had nothing to do.
        """
        interval = IDLE_PLAN_SECONDS if quiet_seconds > IDLE_AFTER_SECONDS else PLAN_SECONDS
        if self._planned_at is not None and time.monotonic() - self._planned_at < interval:
            return False
        tasks = self._plan()
        # Workers begin at different shards, so that they compete less for the same locks.
        start = os.getpid() % len(tasks) if tasks else 0
        self.tasks = tasks[start:] + tasks[:start]
        self.settled = min((task.position for task in tasks), default=self.settled)
        self._planned_at = time.monotonic()
        return True

    def expire(self) -> None:
        """Plan again in the next round."""
        self._planned_at = None

    def reset(self) -> None:
        """Discard the plan and the settled position after an error."""
        self._planned_at, self.settled = None, 0

    def drop(self, task: Task) -> None:
        """Remove a task until the next plan."""
        self.tasks.remove(task)

    def note_settled(self, settled: int) -> None:
        """Remember the settled position of a round, as far as every task has reached it."""
        all_done = all(task.position >= settled for task in self.tasks)
        self.settled = settled if all_done else min(self.settled, settled)

    def has_reached(self, position: int, waiting: Container[int] = ()) -> bool:
        """Return whether, in a new plan, every task has reached `position`, and no rebuild and no retry is left.

        A rebuild that cannot begin yet, because it waits for a lock, has no tasks.

        Args:
            waiting: the checkpoints whose next event needs newer code than that of this process.

        Raises:
            WaitsForNewerCode: all that is left needs newer code.
            StillUnavailable: all that is left needs a system that has been away for too long.
        """
        tasks = self._plan()
        left = [task for task in tasks if task.position < position or task.build == Build.REBUILD]
        if left and all(task.waits and task.checkpoint_id in waiting for task in left):
            raise WaitsForNewerCode(left[0].projection.name, left[0].waits)
        if left and all(self._is_given_up(task) for task in left):
            raise StillUnavailable(left[0].projection.name, left[0].waits, GIVE_UP_SECONDS)
        if left or _has_retries([task for task in tasks if task.retry_at], position):
            return False
        versions = {each.name: each.version for each in self._projections}
        asked = Rebuild.objects.using(database()).filter(projection__in=versions, error="")
        return not any(each.version <= versions[each.projection_id] for each in asked)

    def _is_given_up(self, task: Task) -> bool:
        """Return whether this worker has waited long enough for a system that is away, for its return or its pause."""
        since = task.unavailable_since
        return since is not None and (timezone.now() - max(since, self._began)).total_seconds() > GIVE_UP_SECONDS

    def _plan(self) -> list[Task]:
        return plan(self._projections, rebuilds_only=self._rebuilds_only)


def plan(projections: Iterable[Projection], *, rebuilds_only: bool = False) -> list[Task]:
    """Register `projections` if needed, prepare requested rebuilds, and return the tasks that this process may run."""
    by_name = {each.name: each for each in projections}
    states = ProjectionState.objects.using(database()).filter(name__in=by_name).prefetch_related("checkpoints")
    states = states.annotate(retry_live_at=_first_retry(Build.LIVE), retry_rebuild_at=_first_retry(Build.REBUILD))
    known: dict[str, ProjectionState] = {state.name: state for state in states.select_related("rebuild")}
    for name in by_name.keys() - known.keys():
        known[name] = ensure_registered(by_name[name])
    tasks: list[Task] = []
    for name, state in sorted(known.items()):
        checkpoints = list(state.checkpoints.all())
        asked: Rebuild | None = getattr(state, "rebuild", None)
        if asked:
            tasks += _rebuild_tasks(by_name[name], asked, checkpoints)
        if not rebuilds_only and state.status == Status.RUNNING:
            tasks += _live_tasks(by_name[name], checkpoints, may_reshard=asked is None)
    for task in tasks:
        task.retry_at = getattr(known[task.projection.name], f"retry_{task.build}_at", None)
    return tasks


def _first_retry(build: Build) -> Subquery:
    """Return the time of the first retry of a projection, whatever its shard; an index answers it."""
    parked = ParkedEvent.objects.filter(projection=OuterRef("name"), build=build).retried()
    return Subquery(parked.order_by("next_attempt_at").values("next_attempt_at")[:1])


def _has_retries(tasks: Sequence[Task], up_to: int) -> bool:
    """Return whether an event up to a position is still retried by one of `tasks`."""
    retried = ParkedEvent.objects.using(database()).retried().filter(position__lte=up_to)
    return any(retried.filter(projection=task.projection.name, build=task.build).exists() for task in tasks)


def _rebuild_tasks(projection: Projection, asked: Rebuild, checkpoints: Sequence[Checkpoint]) -> list[Task]:
    if asked.error or asked.version > projection.version:
        return []
    mine = [each for each in checkpoints if each.build == Build.REBUILD and each.version == projection.version]
    return [_task(projection, each) for each in mine or _prepare_rebuild(projection)]


def _prepare_rebuild(projection: Projection) -> list[Checkpoint]:
    """Begin a requested rebuild, and return its checkpoints; none if it cannot begin now, or has failed."""
    session = connections[database()].connection
    try:
        return preparation.prepare(projection)
    except Exception as error:
        if is_outage(error, database(), session):
            raise
        if not is_transient(error):
            preparation.stop_rebuild(projection, f"its preparation: {summary(error)}")
        return []


def _live_tasks(projection: Projection, checkpoints: Sequence[Checkpoint], *, may_reshard: bool) -> list[Task]:
    if projection.mode is not Mode.ASYNC:
        return []
    live = [each for each in checkpoints if each.build == Build.LIVE and each.version == projection.version]
    if not live or live[0].shards == projection.shards or not may_reshard:
        return [_task(projection, each) for each in live]
    # The code has another number of shards: bring all shards to the same position, then replace them.
    highest = max(each.position for each in live)
    if all(each.position == highest for each in live):
        return _reshard(projection)
    return [_task(projection, each, highest) for each in live if each.position < highest]


def _reshard(projection: Projection) -> list[Task]:
    """Replace the checkpoints by those for the number of shards in the code; return their tasks."""
    using = database()
    with transaction.atomic(using):
        state = ProjectionState.objects.using(using).get(pk=projection.name)
        live = state.checkpoints.using(using).live()
        locked = live.lock()
        if len({each.position for each in locked}) == 1 and locked[0].shards != projection.shards:
            live.delete()
            create_checkpoints(projection, state, locked[0].position)
            logger.info("projection=%s shards=%s before=%s", projection, projection.shards, locked[0].shards)
        return [_task(projection, each) for each in state.checkpoints.using(using).live()]


def _task(projection: Projection, checkpoint: Checkpoint, up_to: int | None = None) -> Task:
    of = checkpoint
    waits = of.error if of.waiting_since or of.unavailable_since else ""
    return Task(
        *(projection, of.pk, Build(of.build), of.shard, of.position, up_to, of.next_attempt_at),
        waits=waits,
        unavailable_since=of.unavailable_since,
    )
