"""What there is to work on: the shards of the projections at hand, those of rebuilds included."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import connections, transaction

from . import failures, rebuild
from .base import Mode, Projection
from .models import Build, Checkpoint, ProjectionState, Rebuild, Status
from .outages import is_outage
from .registration import create_checkpoints, database, ensure

logger = logging.getLogger(__name__)


@dataclass
class Task:
    """A shard to be worked on.

    Attributes:
        position: where it stood when it was last looked at; passes move it on.
        up_to: work no further than this; None for no bound.
        not_before: the next attempt at a failed event; None for now.
    """

    projection: Projection
    checkpoint_id: int
    build: str
    shard: int
    position: int
    up_to: int | None = None
    not_before: datetime | None = None

    def __str__(self) -> str:
        shard = f"[{self.shard}]" if self.projection.shards > 1 else ""
        return f"{self.projection}{shard}" + (" (rebuild)" if self.build == Build.REBUILD else "")


def agenda(projections: Iterable[Projection], *, rebuilds_only: bool = False) -> list[Task]:
    """Return the tasks of `projections` that this process has the right code for, and may work on as things are."""
    by_name = {each.name: each for each in projections}
    states = ProjectionState.objects.using(database()).filter(name__in=by_name).prefetch_related("checkpoints")
    known = {state.name: state for state in states.select_related("rebuild")}
    for name in by_name.keys() - known.keys():
        known[name] = ensure(by_name[name])
    tasks: list[Task] = []
    for name, state in sorted(known.items()):
        checkpoints = list(state.checkpoints.all())
        asked: Rebuild | None = getattr(state, "rebuild", None)
        if asked:
            tasks += _rebuild_tasks(by_name[name], asked, checkpoints)
        if not rebuilds_only and state.status == Status.RUNNING:
            tasks += _live_tasks(by_name[name], checkpoints, may_deal_out_anew=asked is None)
    return tasks


def _rebuild_tasks(projection: Projection, asked: Rebuild, checkpoints: Sequence[Checkpoint]) -> list[Task]:
    if asked.error or asked.version > projection.version:
        return []
    mine = [each for each in checkpoints if each.build == Build.REBUILD and each.version == projection.version]
    return [_task(projection, each) for each in mine or _prepared(projection)]


def _prepared(projection: Projection) -> list[Checkpoint]:
    """Return the checkpoints of a rebuild that nobody has begun yet; none, if it cannot be begun now, or at all."""
    session = connections[database()].connection
    try:
        return rebuild.prepare(projection)
    except Exception as error:
        if is_outage(error, database(), session):
            raise
        if not rebuild.is_passing(error):
            rebuild.stop(projection, f"its beginning: {failures.summary(error)}")
        return []


def _live_tasks(projection: Projection, checkpoints: Sequence[Checkpoint], *, may_deal_out_anew: bool) -> list[Task]:
    if projection.mode is not Mode.ASYNC:
        return []
    live = [each for each in checkpoints if each.build == Build.LIVE and each.version == projection.version]
    if not live or live[0].shards == projection.shards or not may_deal_out_anew:
        return [_task(projection, each) for each in live]
    # Another number of shards than the code wants: bring them level, then deal out anew.
    level = max(each.position for each in live)
    if all(each.position == level for each in live):
        return _dealt_out_anew(projection)
    return [_task(projection, each, level) for each in live if each.position < level]


def _dealt_out_anew(projection: Projection) -> list[Task]:
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
    return Task(
        projection,
        checkpoint.pk,
        checkpoint.build,
        checkpoint.shard,
        checkpoint.position,
        up_to,
        checkpoint.next_attempt_at,
    )
