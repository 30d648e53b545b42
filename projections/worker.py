"""The loop around the passes: what to do next, when to look again, and what to do when the database goes away."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from events import reader
from events.pace import Pace

from . import rebuild, registry, runner
from .agenda import Task, agenda
from .base import Projection
from .conf import conf
from .models import Build
from .outages import is_outage
from .processes import ended_by_signals
from .pulse import Pulse
from .registration import database
from .runner import Outcome

logger = logging.getLogger(__name__)

# How often the agenda is read anew: by then a resumed projection, a rebuild, a shard left by another worker is seen.
AGENDA_SECONDS = 1.0
IDLE_AGENDA_SECONDS = 3.0  # when there has been nothing to do for IDLE_AFTER_SECONDS
IDLE_AFTER_SECONDS = 10.0
MAX_RECONNECT_SECONDS = 2.0
# Whoever waits for the end of a worker wants to know when the database does not come back.
GIVE_UP_SECONDS = 30.0


class Until(Enum):
    """When a worker ends by itself."""

    STOPPED = "stopped"  # never
    ONCE = "once"  # after one pass over each shard
    CAUGHT_UP = "caught up"  # with what was settled when it began


def work(names: Sequence[str], until: str) -> None:
    """Run a worker in this process for the projections called `names`, until it is done or a signal ends it.

    Args:
        until: the name of one of `Until`.
    """
    worker = Worker(registry.named(names), until=Until[until])
    with ended_by_signals(worker.stop):
        logger.info("worker=%s started=true projections=%s", os.getpid(), ",".join(names) or "all")
        worker.run()
        logger.info("worker=%s ended=true events=%s", os.getpid(), worker.events)


class Worker:
    """Works for projections in this process, one pass at a time. Any number of workers, anywhere, share the work."""

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
        self._projections = list(projections) or registry.all_projections()
        self._until = until
        self._rebuilds_only = rebuilds_only
        self._on_round = on_round
        self._stopping = False
        self._tasks: list[Task] = []
        self._agenda_at = 0.0
        self._settled = 0  # the settled position that every task has come to
        self._target: int | None = None
        self._pace = Pace()
        self._pulse = Pulse(self._projections)
        self._session: Any = None  # the connection that the round began with
        self.events = 0

    def stop(self) -> None:
        """Let the worker end after the pass it is at. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Work until it is time to end."""
        failures, well_at = 0, time.monotonic()
        try:
            while not self._stopping:
                self._session = connections[database()].connection
                try:
                    more = self._round()
                    failures, well_at = 0, time.monotonic()
                    if self._is_done(more) or not self._on_round():
                        return
                    if not more:
                        time.sleep(self._pace.pause_seconds(conf.idle_poll_seconds))
                except Exception as error:
                    is_over = time.monotonic() - well_at > GIVE_UP_SECONDS or not self._is_outage(error)
                    if self._until is not Until.STOPPED and is_over:
                        raise
                    failures += 1
                    self._recover(error, failures)
        finally:
            with suppress(DatabaseError, InterfaceError):
                self._pulse.end()

    def _round(self) -> bool:
        """Do one pass over each shard that has something to do; return whether there is more at once."""
        self._read_agenda_if_due()
        settled = reader.settled_position_after(self._settled, database())
        if self._target is None:
            self._target = settled
        more = False
        for task in list(self._tasks):
            if self._stopping:
                return False
            more |= self._work_on(task, settled)
        all_done = all(task.position >= settled for task in self._tasks)
        self._settled = settled if all_done else min(self._settled, settled)
        if more:
            self._pace.found()
        return more

    def _work_on(self, task: Task, settled: int) -> bool:
        up_to = settled if task.up_to is None else min(settled, task.up_to)
        if task.position >= up_to and task.build == Build.LIVE:
            return False
        if task.not_before and task.not_before > timezone.now():
            return False
        self._pulse.beat(str(task), self.events)
        result = runner.run_pass(task.projection, task.checkpoint_id, up_to)
        if result.outcome is not Outcome.DONE:
            # Busy in other hands, or failed: the agenda will tell how it stands.
            self._tasks.remove(task)
            if result.outcome is Outcome.FAILED:
                self._agenda_at = 0.0
            return result.outcome is Outcome.FAILED
        self.events += result.events
        task.position, task.not_before = result.position, None
        if task.build == Build.REBUILD and task.position >= up_to:
            return self._switch(task, settled)
        if task.up_to is not None:
            self._agenda_at = 0.0
        return task.position < up_to or result.events > 0

    def _switch(self, task: Task, settled: int) -> bool:
        """Try to end the rebuild whose shard has caught up; once in a while, if others have not."""
        if rebuild.is_near(task.projection, settled) and rebuild.switch(task.projection):
            self._agenda_at = 0.0
            return True
        self._tasks.remove(task)
        return False

    def _read_agenda_if_due(self) -> None:
        now = time.monotonic()
        is_idle = self._pace.quiet_seconds() > IDLE_AFTER_SECONDS
        if now - self._agenda_at < (IDLE_AGENDA_SECONDS if is_idle else AGENDA_SECONDS):
            return
        self._tasks = agenda(self._projections, rebuilds_only=self._rebuilds_only)
        # Workers begin at different shards, so that they meet less.
        start = os.getpid() % len(self._tasks) if self._tasks else 0
        self._tasks = self._tasks[start:] + self._tasks[:start]
        self._settled = min((task.position for task in self._tasks), default=self._settled)
        self._agenda_at = now
        self._pulse.beat("", self.events)

    def _is_done(self, more: bool) -> bool:
        if self._until is Until.ONCE:
            return True
        if self._until is Until.CAUGHT_UP and not more:
            waiting = agenda(self._projections, rebuilds_only=self._rebuilds_only)
            target = self._target or 0
            return all(task.position >= target and task.build == Build.LIVE for task in waiting)
        return False

    def _is_outage(self, error: Exception) -> bool:
        return is_outage(error, database(), self._session)

    def _recover(self, error: Exception, failures: int) -> None:
        """Go on with a new connection, a little later. A worker does not die of anything but a signal."""
        pause = min(MAX_RECONNECT_SECONDS, 0.05 * 2 ** min(failures, 10))
        if self._is_outage(error):
            line = str(error.__cause__ or error).strip().partition("\n")[0]
            logger.warning("worker=%s database=unavailable error=%r retry_in_seconds=%s", self._pulse, line, pause)
        else:
            logger.exception("worker=%s failed retry_in_seconds=%s", self._pulse, pause)
        connections[database()].close()
        self._agenda_at = 0.0
        self._settled = 0
        deadline = time.monotonic() + pause
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.02)
