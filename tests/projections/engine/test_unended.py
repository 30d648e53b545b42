"""A worker that is killed at the same event again and again: the event is found, counted and parked."""

import signal
from typing import Any

import pytest

from events.models import Event
from events.store import EventStore
from projections.engine import registration, runner, unended
from projections.engine.unended import Traced
from projections.models import Checkpoint, Heartbeat, ParkedEvent
from projections.workers import heartbeat, scheduler
from projections.workers.worker import Until, Worker
from tests import FULL
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile
from tests.support import in_threads, manage_process, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


class Killed(KeyboardInterrupt):
    """Ends a worker of a test at once, as SIGKILL does a process."""


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets the handler kill the worker; returns how often it has done so after running a worker until it survives."""
    kills: list[int] = []

    def kill(self: Fragile, event: Event) -> None:
        kills.append(event.position)
        raise Killed

    def leave_row(self: heartbeat.WorkerHeartbeat) -> None:
        heartbeat._running_here.discard(self.id)

    def run() -> int:
        with monkeypatch.context() as killing:
            killing.setattr(Fragile, "check", kill)
            killing.setattr(heartbeat.WorkerHeartbeat, "end", leave_row)
            for _ in range(30):
                try:
                    catch_up("fragile")
                except Killed:
                    continue
                return len(kills)
        raise AssertionError("the worker is killed for ever")

    return run


def test_event_that_kills_workers_is_parked_and_the_others_are_handled(store: EventStore, killed: Any) -> None:
    store.dispatch(*[fragile(f"a-{n}", 1 if n == 25 else None) for n in range(40)])
    # Without a trace, with one, as one of many that come singly; then as often as an event may fail: three times here.
    assert killed() <= 2 + 3
    parked = ParkedEvent.objects.get()
    assert (parked.aggregate_id, parked.attempts) == ("a-25", 3)
    assert "WorkerKilled: the worker was killed" in parked.error
    assert len(notes()) == 39
    assert checkpoint("fragile").suspect_until is None


def test_no_trace_is_left_while_no_worker_was_killed(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unended, "leave_trace", None)
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    assert notes() == [("a-1", 1)]


def test_trace_of_a_worker_that_lives_counts_for_nothing(store: EventStore) -> None:
    """Two workers meet at a shard: one has left its trace and not locked the checkpoint yet."""
    store.dispatch(fragile("a-1"))
    registration.ensure_registered(instance(Fragile))
    first, second = heartbeat.WorkerHeartbeat([]), heartbeat.WorkerHeartbeat([])
    first.beat("", 0)
    at = checkpoint("fragile").pk

    def trace(worker: heartbeat.WorkerHeartbeat) -> Traced:
        return unended.leave_trace(instance(Fragile), at, store.settled_position(), worker.id, worker.is_alive)

    assert trace(first) is Traced.BEGIN
    assert trace(second) is Traced.BUSY
    assert (checkpoint("fragile").attempts, checkpoint("fragile").batch_limit) == (0, None)
    heartbeat._running_here.discard(first.id)
    assert trace(second) is Traced.BEGIN
    assert checkpoint("fragile").batch_limit == 1
    second.end()


def test_own_trace_counts_for_nothing(store: EventStore) -> None:
    """The pass could not lock the shard, because another worker was looking for traces at that moment."""
    store.dispatch(fragile("a-1"), fragile("a-2"))
    registration.ensure_registered(instance(Fragile))
    worker, at = heartbeat.WorkerHeartbeat([]), checkpoint("fragile").pk
    worker.beat("", 0)
    for _ in range(3):
        traced = unended.leave_trace(instance(Fragile), at, store.settled_position(), worker.id, worker.is_alive)
        assert traced is Traced.BEGIN
    found = checkpoint("fragile")
    assert (found.attempts, found.batch_limit, found.suspect_until) == (0, None, None)
    worker.end()


def test_workers_beside_a_killed_one_work_as_before(store: EventStore) -> None:
    Heartbeat.objects.create(**killed_row())
    store.dispatch(*[fragile(f"a-{n % 7}") for n in range(60)])
    raise_first(in_threads(*[lambda: catch_up("fragile") for _ in range(3)]))
    assert len(notes()) == 60
    assert Checkpoint.objects.live().get(projection="fragile").begun_by is None
    assert not ParkedEvent.objects.exists()


def test_worker_that_ends_leaves_no_trace_of_a_pass_that_never_began(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pass could not lock the shard, and the worker was stopped before it tried again."""
    Heartbeat.objects.create(**killed_row())
    store.dispatch(fragile("a-1"))
    monkeypatch.setattr(runner, "run_pass", lambda *given: runner.PassResult(runner.PassOutcome.NOT_LOCKED))
    Worker([instance(Fragile)], until=Until.ONCE).run()
    monkeypatch.undo()
    assert checkpoint("fragile").begun_by is None
    catch_up("fragile")
    assert notes() == [("a-1", 1)]


def test_pass_that_met_another_worker_looking_for_traces_is_tried_again_at_once(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one leaves the shard to this worker, so that it would stand still until this worker plans again."""
    Heartbeat.objects.create(**killed_row())
    store.dispatch(fragile("a-1"))
    monkeypatch.setattr(scheduler, "PLAN_SECONDS", 60)
    real, met, rounds = runner.run_pass, iter([True]), iter(range(50))

    def run_pass(*given: Any) -> runner.PassResult:
        return runner.PassResult(runner.PassOutcome.NOT_LOCKED) if next(met, False) else real(*given)

    monkeypatch.setattr(runner, "run_pass", run_pass)
    worker = Worker([instance(Fragile)], should_continue=lambda: next(rounds, None) is not None and not notes())
    worker.run()
    assert notes() == [("a-1", 1)]


def killed_row() -> dict[str, Any]:
    row = heartbeat.WorkerHeartbeat([])._row
    heartbeat._running_here.discard(row.id)
    names = ("id", "host", "pid", "started_at", "projections")
    return {**{name: getattr(row, name) for name in names}, "seen_at": row.started_at}


@pytest.mark.skipif(not FULL, reason="starts a dozen processes; FULL_TESTS=1 runs it")
def test_process_that_kills_itself_at_an_event_is_survived(store: EventStore) -> None:
    store.dispatch(*[fragile(f"a-{n}", "kill" if n == 5 else None) for n in range(9)])
    codes = []
    while not codes or (codes[-1] == -signal.SIGKILL and len(codes) < 12):
        with manage_process("run_projections", "fragile", "--until-caught-up", TEST_KILL="yes") as process:
            process.communicate(timeout=60)
        codes.append(process.returncode)
    assert codes[-1] == 0
    assert [event.aggregate_id for event in ParkedEvent.objects.all()] == ["a-5"]
