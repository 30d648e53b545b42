"""The rows of reactions in `bench_projections`: one follow-up for each event, and an idle reaction beside appends."""

import signal
import subprocess
import sys
import time
from typing import Any

from benchmarks.common import Report, by_turns, seconds

EVENTS = 10_000
AGGREGATES = 1_000
APPENDS = 100  # in a turn
TURNS = 10


def measure_reactions(report: Report, rounds: int) -> None:
    from benchmarks import readmodels
    from projections import registry
    from projections.workers.worker import Until, Worker

    registry.register(readmodels.WithFollowUps)
    worker = [registry.get("bench_follows")]
    Worker(worker, until=Until.CAUGHT_UP).run()
    _measure_follow_ups(report, rounds, worker)
    _measure_idle(report, rounds)


def _measure_follow_ups(report: Report, rounds: int, projections: list[Any]) -> None:
    """Measure a worker that stores a follow-up for each event against `dispatch` of such events, in calls as large.

    Both store the same metadata: the correlation id, which has an index, the causation id, and the reaction.
    """
    from uuid_utils.compat import uuid7

    from benchmarks import readmodels
    from events.store import EventStore
    from events.types import NewEvent
    from projections.workers.worker import Until, Worker

    store, size = EventStore(), readmodels.WithFollowUps.batch_events

    def dispatch(events: list[NewEvent]) -> float:
        return seconds(lambda: [store.dispatch(*events[start : start + size]) for start in range(0, EVENTS, size)])

    def ready() -> float:
        flows = [{"correlation_id": str(uuid7()), "causation_id": str(uuid7())} for _ in range(EVENTS)]
        metadata = [{"reaction": "bench_follows", **each} for each in flows]
        return dispatch([_event("answer", "Answered", n, metadata=each) for n, each in enumerate(metadata)])

    def react() -> float:
        dispatch([_event("asked", "Asked", n) for n in range(EVENTS)])
        return seconds(lambda: Worker(projections, until=Until.CAUGHT_UP).run())

    reacted, dispatched = by_turns(rounds, react, ready)
    ratio = dispatched / reacted
    rates = f"{EVENTS / reacted:,.0f}/s against {EVENTS / dispatched:,.0f}/s"
    report.row("reaction, one follow-up each / dispatch of ready events", ratio, ">= 0.5", ratio >= 0.5, rates)


def _event(prefix: str, event_type: str, number: int, **more: Any) -> Any:
    from events.types import NewEvent

    return NewEvent(f"{prefix}-{number % AGGREGATES}", event_type, {"number": number}, **more)


def _measure_idle(report: Report, rounds: int) -> None:
    """Measure appends beside a worker whose reaction has nothing to do, and while that worker is stopped."""
    from events.store import EventStore
    from events.types import NewEvent

    store = EventStore()
    worker = subprocess.Popen(
        [sys.executable, "manage.py", "run_projections", "bench_follows"], stderr=subprocess.DEVNULL
    )

    def append() -> float:
        return seconds(lambda: [store.dispatch(NewEvent(f"other-{number}", "Unseen")) for number in range(APPENDS)])

    def beside() -> float:
        worker.send_signal(signal.SIGCONT)
        return append()

    def alone() -> float:
        worker.send_signal(signal.SIGSTOP)
        return append()

    try:
        time.sleep(3)
        working, stopped = by_turns(rounds, beside, alone, turns=TURNS)
        if worker.poll() is not None:
            raise RuntimeError("the worker has ended")
    finally:
        worker.send_signal(signal.SIGCONT)
        worker.terminate()
        worker.wait()
    ratio, number = working / stopped, APPENDS * TURNS
    rates = f"{number / working:,.0f}/s against {number / stopped:,.0f}/s"
    report.row("append beside an idle reaction / without", ratio, "<= 1.02", ratio <= 1.02, rates)
