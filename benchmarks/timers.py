"""The rows of timers in `bench_projections`: many that are due at once, and some that are spread over time."""

import random
import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from benchmarks.common import Report, by_turns, seconds, wait_until

MANY = 10_000
PER_SECOND = 20


def measure_timers(report: Report, rounds: int, spread_seconds: int) -> None:
    from benchmarks import readmodels
    from projections import registry
    from projections.workers.worker import Until, Worker

    registry.register(readmodels.WithTimers)
    worker = [registry.get("bench_timed")]
    Worker(worker, until=Until.CAUGHT_UP).run()
    _measure_many(report, rounds, worker)
    _measure_spread(report, spread_seconds)


def _measure_many(report: Report, rounds: int, projections: list[Any]) -> None:
    """Measure a worker that fires timers against calls of `dispatch` with ready events, over the same aggregates."""
    from django.utils import timezone

    from events.store import EventStore
    from events.types import NewEvent
    from projections.models import Timer
    from projections.reactions.firing import BATCH_TIMERS
    from projections.workers.worker import Until, Worker

    def fire() -> float:
        schedule(timezone.now() - timedelta(seconds=number / 1000) for number in range(MANY))
        taken = seconds(lambda: Worker(projections, until=Until.CAUGHT_UP).run())
        assert not Timer.objects.exists()
        return taken

    def dispatch() -> float:
        ready = [NewEvent(f"timed-{n}", "TimedOut", {"number": n}, metadata={"reaction": "x"}) for n in range(MANY)]
        store = EventStore()
        calls = range(0, MANY, BATCH_TIMERS)
        return seconds(lambda: [store.dispatch(*ready[start : start + BATCH_TIMERS]) for start in calls])

    fired, dispatched = by_turns(rounds, fire, dispatch)
    ratio = dispatched / fired
    rates = f"{MANY / fired:,.0f}/s against {MANY / dispatched:,.0f}/s"
    report.row(f"{MANY:,} timers due at once / dispatch of ready events", ratio, ">= 0.3", ratio >= 0.3, rates)


def _measure_spread(report: Report, spread_seconds: int) -> None:
    """Measure how late the events of timers are stored, by a worker process that does nothing else."""
    from django.utils import timezone

    from events.models import Event
    from projections.models import Timer

    number = PER_SECOND * spread_seconds
    command = [sys.executable, "manage.py", "run_projections", "bench_timed"]
    worker = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        time.sleep(3)
        start = timezone.now() + timedelta(seconds=1)
        before = Event.objects.order_by("-position").values_list("position", flat=True).first() or 0
        schedule(start + timedelta(seconds=random.random() * spread_seconds) for _ in range(number))
        wait_until(lambda: not Timer.objects.exists(), "all timers have fired", spread_seconds + 60)
    finally:
        worker.terminate()
        worker.wait()
    stored = Event.objects.filter(position__gt=before, type="TimedOut").values_list("timestamp", "recorded_at")
    late = sorted((recorded - due).total_seconds() for due, recorded in stored)
    p99 = late[len(late) * 99 // 100]
    raw = f"p50 {late[len(late) // 2] * 1000:.0f} ms, longest {late[-1] * 1000:.0f} ms, {number:,} timers"
    report.row(f"timers over {spread_seconds} s: due to stored, p99 in s", p99, "<= 1", p99 <= 1, raw)


def schedule(moments: Any) -> None:
    """Save timers as passes of the reaction would."""
    from uuid_utils.compat import uuid7

    from projections.models import Timer

    def timer(number: int, due_at: datetime) -> Timer:
        named: dict[str, Any] = {"reaction": "bench_timed", "key": f"timed-{number}"}
        event: dict[str, Any] = {"aggregate_id": f"timed-{number}", "type": "TimedOut", "event_id": uuid7()}
        content = {"data": {"number": number}, "metadata": {"reaction": "bench_timed"}}
        return Timer(due_at=due_at, next_attempt_at=due_at, source_position=1, **named, **event, **content)

    Timer.objects.bulk_create([timer(*each) for each in enumerate(moments)], batch_size=1000)
