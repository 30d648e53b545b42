"""The worker: a loop that runs passes, sleeps when there is nothing to do, and reconnects after outages."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from enum import Enum
from typing import Any, Final

from django.db import DatabaseError, InterfaceError, connections
from django.utils import timezone

from events.routing import database
from events.storage import autocommit, ordering, server_errors
from events.storage.backoff import Backoff
from events.summaries import summary
from projections import registry
from projections.base import Projection
from projections.conf import conf
from projections.engine import missed, retries, runner, unended
from projections.engine.outages import is_outage
from projections.engine.runner import PassOutcome
from projections.engine.unended import Traced
from projections.models import Build
from projections.rebuild import swap

from .heartbeat import WorkerHeartbeat
from .scheduler import GIVE_UP_SECONDS, PLAN_SECONDS, Schedule, Task
from .supervisor import stop_on_signals
from .timers import DueTimers

logger = logging.getLogger(__name__)

CHECK_INLINE_SECONDS: Final = 10.0
MAX_RECONNECT_SECONDS: Final = 2.0
# How long a worker retries events that have stepped aside before it handles new ones again, and how many times as long
# it then handles new ones before it retries again, if there are any.
RETRY_SECONDS: Final = 0.1
REST_AFTER_RETRIES: Final = 3


class Until(Enum):
    """When a worker ends by itself."""

    STOPPED = "stopped"  # never
    ONCE = "once"  # after one pass over each shard
    CAUGHT_UP = "caught up"  # when every shard has reached the position that was settled when the worker began


def work(names: Sequence[str], until: str) -> None:
    """Run a worker in this process for the projections called `names`; SIGTERM and SIGINT stop it.

    Args:
        until: the name of a member of `Until`. A new process cannot unpickle the member before Django is set up.
    """
    worker = Worker(registry.named(names), until=Until[until])
    with stop_on_signals(worker.stop):
        logger.info("worker=%s started=true projections=%s", os.getpid(), ",".join(names) or "all")
        worker.run()
        logger.info("worker=%s ended=true events=%s", os.getpid(), worker.events)


class Worker:
    """Works for projections in this process, one pass at a time. Any number of workers share the work.

    Attributes:
        events: the number of events that it has handled.
    """

    def __init__(
        self,
        projections: Sequence[Projection] = (),
        *,
        until: Until = Until.STOPPED,
        rebuilds_only: bool = False,
        should_continue: Callable[[], bool] = lambda: True,
    ) -> None:
        """
        Args:
            projections: the projections to work for; all registered projections if none is given.
            rebuilds_only: work on rebuilds only, not on the rows that are served.
            should_continue: called after each round; the worker ends if it returns False.
        """
        projections = list(projections) or registry.all_projections()
        self.events = 0
        self._until = until
        self._should_continue = should_continue
        self._stopping = False
        self._target: int | None = None  # the settled position of the first round
        self._session: Any = None  # the database connection that the round began with
        self._checked_at = float("-inf")
        self._rests_until = float("-inf")  # no retry begins before, on the monotonic clock
        self._leaves_traces = False
        self._waiting: set[int] = set()  # the checkpoints whose next event needs newer code
        self._backoff = Backoff()
        self._schedule = Schedule(projections, rebuilds_only=rebuilds_only)
        self._heartbeat = WorkerHeartbeat(projections, rebuilds_only=rebuilds_only)
        self._timers = DueTimers()

    def stop(self) -> None:
        """End the worker after its present pass. A signal handler may call it."""
        self._stopping = True

    def run(self) -> None:
        """Run rounds until the worker is done or stopped."""
        autocommit.turn_on(database())
        try:
            self._run_rounds()
            if self._leaves_traces:  # after an error they stay: the event may have ended the worker
                with suppress(DatabaseError, InterfaceError):
                    unended.withdraw_traces(self._heartbeat.id)
        finally:
            with suppress(DatabaseError, InterfaceError):
                self._heartbeat.end()

    def _run_rounds(self) -> None:
        failed_rounds, last_success = 0, time.monotonic()
        while not self._stopping:
            self._session = connections[database()].connection
            try:
                more = self._round()
                failed_rounds, last_success = 0, time.monotonic()
                if self._is_done(more) or not self._should_continue():
                    return
                if not more:
                    time.sleep(self._backoff.pause_seconds(conf.idle_poll_seconds))
            except Exception as error:
                is_over = time.monotonic() - last_success > GIVE_UP_SECONDS or not self._is_outage(error)
                if self._until is not Until.STOPPED and is_over:
                    raise
                failed_rounds += 1
                self._recover(error, failed_rounds)

    def _round(self) -> bool:
        """Run one pass over each shard with events to handle; return whether more can be done at once."""
        if self._schedule.refresh_if_due(self._backoff.quiet_seconds()):
            self._heartbeat.beat("", self.events)
            self._check_inline()
            self._timers.plan(self._schedule.tasks)
        settled = ordering.settled_position_after(self._schedule.settled, database())
        if self._target is None:
            self._target = settled
        retries_left = self._retry()
        more = False
        for task in list(self._schedule.tasks):
            if self._stopping:
                return False
            more |= self._work_on(task, settled)
        self._schedule.note_settled(settled)
        more |= self._timers.fire(look=more)
        if not more:
            self._rests_until = float("-inf")
        more |= retries_left
        if more:
            self._backoff.reset()
        return more

    def _check_inline(self) -> None:
        """Check now and then whether INLINE projections have missed events, which also keeps the next check short."""
        if time.monotonic() - self._checked_at >= CHECK_INLINE_SECONDS:
            self._checked_at = time.monotonic()
            missed.check()

    def _retry(self) -> bool:
        """Retry events that have stepped aside, for a short time; return whether more may be due."""
        now = timezone.now()
        due = [task for task in self._schedule.tasks if task.retry_at and task.retry_at <= now]
        started = time.monotonic()
        if not due or started < self._rests_until:
            return False
        task = min(due, key=lambda each: each.retry_at or now)
        self._heartbeat.beat(f"{task}, retries", self.events)
        traced, only = Traced.BEGIN, None
        if self._heartbeat.has_missed_worker:
            self._leaves_traces, heartbeat = True, self._heartbeat
            traced, only = unended.leave_retry_trace(
                task.projection, task.checkpoint_id, heartbeat.id, heartbeat.is_alive
            )
        if traced is Traced.BUSY:
            task.retry_at = None  # until the next plan
        elif traced is Traced.BEGIN:
            retried = retries.retry_due(task.projection, task.checkpoint_id, seconds=RETRY_SECONDS, only=only)
            self.events += retried.events
            task.retry_at = retried.next_at
        self._rests_until = time.monotonic() + REST_AFTER_RETRIES * (time.monotonic() - started)
        return True

    def _work_on(self, task: Task, settled: int) -> bool:
        """Run a pass over a shard if it has events to handle; return whether more can be done at once."""
        up_to = settled if task.up_to is None else min(settled, task.up_to)
        if task.position >= up_to and task.build == Build.LIVE:
            return False
        if task.not_before and task.not_before > timezone.now():
            return False
        self._heartbeat.beat(str(task), self.events)
        has_trace = self._heartbeat.has_missed_worker
        if has_trace and not self._leave_trace(task, up_to):
            return False
        result = runner.run_pass(task.projection, task.checkpoint_id, up_to)
        if result.outcome is not PassOutcome.DONE:
            self._schedule.drop(task)
            if has_trace and result.outcome is PassOutcome.NOT_LOCKED:
                # Another worker was looking for traces. It has found that of this one, and leaves the shard to it.
                self._schedule.expire()
                return True
            if result.outcome is PassOutcome.WAITING:
                self._waiting.add(task.checkpoint_id)
            if result.outcome is PassOutcome.FAILED:
                self._schedule.expire()
            return result.outcome is PassOutcome.FAILED
        self.events += result.events
        task.position, task.not_before = result.position, None
        task.retry_at = min(filter(None, (task.retry_at, result.retry_at)), default=None)
        if task.build == Build.REBUILD and task.position >= up_to:
            return self._swap(task, settled)
        if task.up_to is not None:
            self._schedule.expire()
        return task.position < up_to or result.events > 0

    def _leave_trace(self, task: Task, up_to: int) -> bool:
        """Save that a pass begins, so that it is known if it ends this worker; return whether it can begin."""
        self._leaves_traces, heartbeat = True, self._heartbeat
        traced = unended.leave_trace(task.projection, task.checkpoint_id, up_to, heartbeat.id, heartbeat.is_alive)
        if traced is not Traced.BEGIN:
            self._schedule.drop(task)
            self._schedule.expire()
        return traced is Traced.BEGIN

    def _swap(self, task: Task, settled: int) -> bool:
        """Swap in the rows of a rebuild if all its shards have almost caught up; otherwise wait for the next plan."""
        if swap.is_near(task.projection, settled) and swap.swap(task.projection):
            self._schedule.expire()
            return True
        task.not_before = timezone.now() + timedelta(seconds=PLAN_SECONDS)  # its retries go on
        return False

    def _is_done(self, more: bool) -> bool:
        if self._until is Until.ONCE:
            return True
        if self._until is Until.CAUGHT_UP and not more:
            return self._schedule.has_reached(self._target or 0, self._waiting)
        return False

    def _is_outage(self, error: Exception) -> bool:
        return is_outage(error, database(), self._session)

    def _recover(self, error: Exception, failed_rounds: int) -> None:
        """Log the error, close the connection, and wait before the next round."""
        pause = min(MAX_RECONNECT_SECONDS, 0.05 * 2 ** min(failed_rounds, 10))
        if self._is_outage(error) or server_errors.is_of_setup(error):
            line = summary(error.__cause__ or error)
            logger.warning("worker=%s database=unavailable error=%r retry_in_seconds=%s", self._heartbeat, line, pause)
        else:
            logger.exception("worker=%s failed retry_in_seconds=%s", self._heartbeat, pause)
        connections[database()].close()
        self._schedule.reset()
        deadline = time.monotonic() + pause
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.02)
