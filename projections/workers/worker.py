"""The loop around the passes: what to do next, when to look again, and what to do when the database goes away."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from events.routing import database
from events.storage import ordering
from events.storage.backoff import Backoff
from projections import registry
from projections.base import Projection
from projections.conf import conf
from projections.engine import runner
from projections.engine.outages import is_outage
from projections.engine.runner import PassOutcome
from projections.models import Build
from projections.rebuild import swap

from .heartbeat import WorkerHeartbeat
from .scheduler import Schedule, Task
from .supervisor import ended_by_signals

logger = logging.getLogger(__name__)

MAX_RECONNECT_SECONDS: Final = 2.0
# A worker that is to end by itself gives up when the database stays away for this long.
GIVE_UP_SECONDS: Final = 30.0


class Until(Enum):
    """When a worker ends by itself."""

    STOPPED = "stopped"  # never
    ONCE = "once"  # after one pass over each shard
    CAUGHT_UP = "caught up"  # with what was settled when it began


def work(names: Sequence[str], until: str) -> None:
    """Run a worker in this process for the projections called `names`, until it is done or a signal ends it.

    Args:
        until: the name of a member of `Until`.
    """
    worker = Worker(registry.named(names), until=Until[until])
    with ended_by_signals(worker.stop):
        logger.info("worker=%s started=true projections=%s", os.getpid(), ",".join(names) or "all")
        worker.run()
        logger.info("worker=%s ended=true events=%s", os.getpid(), worker.events)


class Worker:
    """Works for projections in this process, one pass at a time. Any number of workers, anywhere, share the work.

    Attributes:
        events: how many events it has handled.
    """

    def __init__(
        self,
        projections: Sequence[Projection] = (),
        *,
        until: Until = Until.STOPPED,
        rebuilds_only: bool = False,
        on_round: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            projections: those to work for; none: all there are.
            rebuilds_only: leave the rows that are served to other workers.
            on_round: called after each round; the worker ends when it returns False.
        """
        projections = list(projections) or registry.all_projections()
        self.events = 0
        self._until = until
        self._on_round = on_round
        self._stopping = False
        self._target: int | None = None  # the settled position when it began
        self._session: Any = None  # the database connection that the round began with
        self._backoff = Backoff()
        self._schedule = Schedule(projections, rebuilds_only=rebuilds_only)
        self._heartbeat = WorkerHeartbeat(projections)

    def stop(self) -> None:
        """Let the worker end after the pass it is at. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until it is time to end."""
        failures, last_success = 0, time.monotonic()
        try:
            while not self._stopping:
                self._session = connections[database()].connection
                try:
                    more = self._round()
                    failures, last_success = 0, time.monotonic()
                    if self._is_done(more) or not self._on_round():
                        return
                    if not more:
                        time.sleep(self._backoff.pause_seconds(conf.idle_poll_seconds))
                except Exception as error:
                    is_over = time.monotonic() - last_success > GIVE_UP_SECONDS or not self._is_outage(error)
                    if self._until is not Until.STOPPED and is_over:
                        raise
                    failures += 1
                    self._recover(error, failures)
        finally:
            with suppress(DatabaseError, InterfaceError):
                self._heartbeat.end()

    def _round(self) -> bool:
        """Do one pass over each shard that has something to do; return whether there is more at once."""
        if self._schedule.refresh_if_due(self._backoff.quiet_seconds()):
            self._heartbeat.beat("", self.events)
        settled = ordering.settled_position_after(self._schedule.settled, database())
        if self._target is None:
            self._target = settled
        more = False
        for task in list(self._schedule.tasks):
            if self._stopping:
                return False
            more |= self._work_on(task, settled)
        self._schedule.note_settled(settled)
        if more:
            self._backoff.reset()
        return more

    def _work_on(self, task: Task, settled: int) -> bool:
        """Run a pass over a shard if it has something to do; return whether there is more at once."""
        up_to = settled if task.up_to is None else min(settled, task.up_to)
        if task.position >= up_to and task.build == Build.LIVE:
            return False
        if task.not_before and task.not_before > timezone.now():
            return False
        self._heartbeat.beat(str(task), self.events)
        result = runner.run_pass(task.projection, task.checkpoint_id, up_to)
        if result.outcome is not PassOutcome.DONE:
            # Another worker has it, or it failed: the next schedule says how it stands.
            self._schedule.drop(task)
            if result.outcome is PassOutcome.FAILED:
                self._schedule.expire()
            return result.outcome is PassOutcome.FAILED
        self.events += result.events
        task.position, task.not_before = result.position, None
        if task.build == Build.REBUILD and task.position >= up_to:
            return self._swap(task, settled)
        if task.up_to is not None:
            self._schedule.expire()
        return task.position < up_to or result.events > 0

    def _swap(self, task: Task, settled: int) -> bool:
        """Try to finish the rebuild whose shard has caught up; only now and then, while other shards have not."""
        if swap.is_near(task.projection, settled) and swap.swap(task.projection):
            self._schedule.expire()
            return True
        self._schedule.drop(task)
        return False

    def _is_done(self, more: bool) -> bool:
        if self._until is Until.ONCE:
            return True
        if self._until is Until.CAUGHT_UP and not more:
            return self._schedule.has_reached(self._target or 0)
        return False

    def _is_outage(self, error: Exception) -> bool:
        return is_outage(error, database(), self._session)

    def _recover(self, error: Exception, failures: int) -> None:
        """Go on with a new connection, a little later. Only a signal ends a worker."""
        pause = min(MAX_RECONNECT_SECONDS, 0.05 * 2 ** min(failures, 10))
        if self._is_outage(error):
            line = str(error.__cause__ or error).strip().partition("\n")[0]
            logger.warning("worker=%s database=unavailable error=%r retry_in_seconds=%s", self._heartbeat, line, pause)
        else:
            logger.exception("worker=%s failed retry_in_seconds=%s", self._heartbeat, pause)
        connections[database()].close()
        self._schedule.reset()
        deadline = time.monotonic() + pause
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.02)
