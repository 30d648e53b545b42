"""Events that have stepped aside are retried in the background, in the order of their aggregate."""

import signal
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from statistics import median
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from projections.base import DETERMINISTIC_ERRORS
from projections.engine import registration, retries, runner
from projections.exceptions import OperationRejected
from projections.models import Heartbeat, ParkedEvent, Rebuild
from projections.operations import actions, status
from projections.rebuild import preparation
from projections.workers import heartbeat
from projections.workers.worker import Worker
from tests import FULL
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile
from tests.support import Background, Wait, in_threads, manage_process, new, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


def pass_once() -> runner.PassResult:
    registration.ensure_registered(instance(Fragile))
    return runner.run_pass(instance(Fragile), checkpoint("fragile").pk, EventStore().settled_position())


def retry(seconds: float = 1) -> retries.Retried:
    return retries.retry_due(instance(Fragile), checkpoint("fragile").pk, seconds=seconds)


def versions(aggregate_id: str) -> list[int]:
    return [version for each, version in notes() if each == aggregate_id]


@pytest.mark.usefixtures("running_worker")
def test_event_that_recovers_is_handled_with_those_behind_it(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0.01, 3600))
    store.dispatch(fragile("a-1", 1), fragile("b-1"), fragile("a-1"))
    pass_once()
    assert notes() == [("b-1", 1)]
    found = status.report("fragile")
    assert (found.status, found.retrying, found.parked, found.attempts) == ("running", 1, 0, 1)
    assert found.last_error == "Broken: cannot handle 1"
    time.sleep(0.02)
    again = retry()
    assert (again.is_locked, again.events) == (True, 0)
    assert again.next_at is not None
    assert again.next_at > timezone.now() + timedelta(seconds=3000)
    assert ParkedEvent.objects.failed().get().attempts == 2
    assert retry().events == 0, "it is not due"
    store.dispatch(fragile("a-1"), fragile("b-1"))
    pass_once()
    mended()
    ParkedEvent.objects.retried().update(next_attempt_at=timezone.now())
    assert retry() == retries.Retried(is_locked=True, events=3)
    assert (versions("a-1"), versions("b-1")) == ([1, 2, 3], [1, 2])
    assert not ParkedEvent.objects.exists()


def test_event_behind_that_fails_has_its_own_attempts(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 3600))
    monkeypatch.setattr(Fragile, "check", lambda self, event: [].pop() if event.data["poison"] == 2 else 1 / 0)
    store.dispatch(fragile("a-1", 1), fragile("a-1"), fragile("a-1", 2), fragile("a-1"))
    pass_once()
    monkeypatch.setattr(Fragile, "check", lambda self, event: [].pop() if event.data["poison"] == 2 else None)
    assert retry().events == 2
    first, second = ParkedEvent.objects.all()
    assert (first.attempts, first.error, bool(first.next_attempt_at)) == (1, "IndexError: pop from empty list", True)
    assert (second.error, second.next_attempt_at) == ("", None)


@pytest.mark.parametrize(
    ("error", "deterministic", "attempts"),
    [
        (KeyError("total"), DETERMINISTIC_ERRORS, 2),
        (TypeError("no"), DETERMINISTIC_ERRORS, 2),
        (KeyError("total"), (), 3),
        (TimeoutError("no answer"), DETERMINISTIC_ERRORS, 3),
        (TimeoutError("no answer"), (TimeoutError,), 3),
        (RuntimeError("so"), (RuntimeError,), 2),
    ],
)
def test_deterministic_error_is_retried_once(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, error: Exception, deterministic: Any, attempts: int
) -> None:
    def fail(self: Fragile, event: Event) -> None:
        raise error

    monkeypatch.setattr(Fragile, "check", fail)
    monkeypatch.setattr(Fragile, "deterministic_errors", deterministic)
    store.dispatch(fragile("a-1", 1))
    catch_up("fragile")
    parked = ParkedEvent.objects.get()
    assert (parked.attempts, parked.next_attempt_at) == (attempts, None)


def test_slow_retries_that_are_all_due_leave_time_for_good_events(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100 retries of 50 ms take 5 s; a good event waits for a few of them at most."""
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 0, 0, 0))
    store.dispatch(*[fragile(f"bad-{n}", 1) for n in range(100)])
    with monkeypatch.context() as patch:
        patch.setattr("projections.engine.breaker.LAST_EVENTS", 1000)
        pass_once()

    def slow(self: Fragile, event: Event) -> None:
        time.sleep(0.05)
        raise TimeoutError

    monkeypatch.setattr(Fragile, "check", slow)
    ended = threading.Event()
    waits: list[float] = []
    worker = Worker([instance(Fragile)], should_continue=lambda: not ended.is_set())
    with Background(worker.run):
        for number in range(20):
            started = time.monotonic()
            store.dispatch(fragile(f"good-{number}"))
            Wait.until(lambda number=number: versions(f"good-{number}") == [1])
            waits.append(time.monotonic() - started)
            time.sleep(0.05)
        ended.set()
    assert median(waits) < 1, "one may be slow on a busy machine"
    assert ParkedEvent.objects.retried().exists(), "they were still retried meanwhile"
    assert ParkedEvent.objects.filter(attempts__gt=1).exists()


def test_a_long_queue_behind_an_event_is_handled_in_slices(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(retries, "MAX_EVENTS", 4)
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 0))
    store.dispatch(fragile("a-1", 1), *[fragile("a-1") for _ in range(9)])
    pass_once()
    mended()
    assert [retry().events for _ in range(4)] == [4, 4, 2, 0]
    store.dispatch(fragile("a-1"))
    pass_once()
    assert versions("a-1") == list(range(1, 12))
    store.dispatch(fragile("b-1"))
    monkeypatch.undo()


def test_two_workers_never_change_the_order_while_events_arrive(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    until = time.time() + 2
    monkeypatch.setattr(Fragile, "retry_delays_seconds", [0.02] * 300)
    ended = threading.Event()

    def write() -> None:
        for number in range(150):
            poison = {"poison": "until", "until": until} if number % 7 == 0 else {}
            store.dispatch(new(f"a-{number % 5}", "Fragile", data=poison), fragile("good-1"))
            time.sleep(0.01)
        Wait.until(lambda: time.time() > until and not ParkedEvent.objects.exists(), timeout_seconds=30)
        Wait.until(lambda: len(notes()) == 300)
        ended.set()

    def work() -> None:
        Worker([instance(Fragile)], should_continue=lambda: not ended.is_set()).run()

    raise_first(in_threads(write, work, work))
    for name in ("good-1", *[f"a-{n}" for n in range(5)]):
        assert versions(name) == list(range(1, len(versions(name)) + 1)), name
    assert len(notes()) == 300


@pytest.mark.parametrize("operation", ["retry", "skip"])
def test_operator_waits_for_a_retry_and_finds_what_it_left(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 0))
    poison, _ = store.dispatch(fragile("a-1", 1), fragile("a-1"))
    pass_once()
    inside, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(Fragile, "check", lambda self, event: inside.set() or may_end.wait(20))

    def operate() -> Any:
        if operation == "retry":
            return actions.retry("fragile", by="x")
        return actions.skip("fragile", poison.position, by="x", reason="x")

    with Background(retry) as at_work:
        assert inside.wait(20)

        def tell() -> None:
            Wait.until(_somebody_waits)
            may_end.set()

        with Background(tell), pytest.raises(OperationRejected, match="no parked events"):
            operate()
    assert at_work.result.events == 2
    assert versions("a-1") == [1, 2]


def test_retry_does_not_wait_for_an_operator(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 0))
    store.dispatch(fragile("a-1", 1), fragile("a-1"))
    pass_once()
    inside, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(Fragile, "check", lambda self, event: inside.set() or may_end.wait(20))
    with Background(lambda: actions.retry("fragile", by="x")) as operator:
        assert inside.wait(20)
        assert not retry().is_locked
        may_end.set()
    assert operator.result == (2, 0)
    assert versions("a-1") == [1, 2]


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_parked_event_stays_parked_when_an_operator_retries_it_in_vain(store: EventStore) -> None:
    store.dispatch(fragile("a-1", 1), fragile("a-1", 2))
    catch_up("fragile")
    assert actions.retry("fragile", by="x") == (0, 2)
    assert not ParkedEvent.objects.retried().exists()


def test_resume_lets_events_be_tried_at_once_with_all_their_attempts(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600, 3600))
    store.dispatch(fragile("a-1", 1))
    pass_once()
    actions.pause("fragile", by="x")
    assert not retry().is_locked
    mended()
    actions.resume("fragile", by="x")
    assert ParkedEvent.objects.get().attempts == 0
    assert retry().events == 1
    assert notes() == [("a-1", 1)]


def test_rebuild_waits_for_the_retries_that_it_has_begun_with(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    store.dispatch(fragile("a-1", 1), fragile("b-1"))
    with monkeypatch.context() as patch:
        patch.setattr(Fragile, "check", lambda self, event: None)
        catch_up("fragile")
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600,))
    actions.ask_for_rebuild("fragile", by="x")
    Worker([instance(Fragile)], should_continue=lambda: Rebuild.objects.get().retries_up_to is None).run()
    assert Rebuild.objects.exists()
    assert sorted(notes()) == [("a-1", 1), ("b-1", 1)], "the served rows stay complete"
    mended()
    ParkedEvent.objects.retried().update(next_attempt_at=timezone.now())
    catch_up("fragile")
    assert not Rebuild.objects.exists()
    assert sorted(notes()) == [("a-1", 1), ("b-1", 1)]


def test_rebuild_is_not_held_up_by_events_that_fail_after_it_has_caught_up(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600,))
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    actions.ask_for_rebuild("fragile", by="x")
    preparation.prepare(instance(Fragile))
    Rebuild.objects.update(retries_up_to=store.settled_position())
    store.dispatch(fragile("b-1", 1))
    Worker([instance(Fragile)], should_continue=lambda: Rebuild.objects.exists()).run()
    parked = ParkedEvent.objects.get()
    assert (parked.build, parked.aggregate_id) == ("live", "b-1")
    mended()
    ParkedEvent.objects.update(next_attempt_at=timezone.now())
    assert retry().events == 1
    assert sorted(notes()) == [("a-1", 1), ("b-1", 1)]


class Killed(KeyboardInterrupt):
    """Ends a worker of a test at once, as SIGKILL does a process."""


def test_event_whose_retry_kills_workers_is_counted_and_parked(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0.01, 0.01, 0.01))
    store.dispatch(fragile("a-1", 1), fragile("b-1"))
    pass_once()
    kills: list[int] = []

    def kill(self: Fragile, event: Event) -> None:
        kills.append(event.position)
        raise Killed

    monkeypatch.setattr(Fragile, "check", kill)
    monkeypatch.setattr(heartbeat.WorkerHeartbeat, "end", lambda self: heartbeat._running_here.discard(self.id))
    for _ in range(30):
        try:
            catch_up("fragile")
        except Killed:
            continue
        break
    else:
        raise AssertionError("the worker is killed for ever")
    parked = ParkedEvent.objects.get()
    assert (parked.attempts, parked.next_attempt_at) == (4, None)
    assert "WorkerKilled" in parked.error
    assert len(kills) <= 1 + 3  # the first leaves no trace
    Heartbeat.objects.all().delete()


KILLS = 30 if FULL else 2


def test_processes_killed_during_retries_lose_and_double_nothing(store: EventStore) -> None:
    with ExitStack() as stack:

        def start() -> Any:
            process = stack.enter_context(manage_process("run_projections", "fragile", TEST_MANY_RETRIES="1"))
            stack.callback(process.kill)
            return process

        workers = [start(), start()]
        Wait.until(lambda: Heartbeat.objects.count() == 2, timeout_seconds=60)
        until = time.time() + (15 if FULL else 4)
        for number in range(60):
            poison = {"poison": "until", "until": until} if number % 3 == 0 else {}
            store.dispatch(new(f"a-{number}", "Fragile", data=poison), *[fragile(f"a-{number}") for _ in range(3)])
        Wait.until(lambda: ParkedEvent.objects.filter(attempts__gt=1).exists(), timeout_seconds=60)
        for kill in range(KILLS):
            time.sleep(0.3)
            workers[kill % 2].kill()
            assert workers[kill % 2].wait() == -signal.SIGKILL
            workers[kill % 2] = start()
            store.dispatch(*[fragile(f"a-{number}") for number in range(60)])
        total = 60 * 4 + 60 * KILLS
        Wait.until(lambda: len(notes()) == total, timeout_seconds=60)
    for number in range(60):
        assert versions(f"a-{number}") == list(range(1, 5 + KILLS))
    assert not ParkedEvent.objects.exists()
