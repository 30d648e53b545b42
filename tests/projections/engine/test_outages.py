"""Outages and deadlocks are the fault of no event and no rebuild."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.engine import registration, retries, runner
from projections.engine.outages import MAX_DEADLOCKS
from projections.models import ParkedEvent, Rebuild
from projections.operations import actions
from projections.workers.worker import Worker
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes, tally
from tests.readmodels.projections import Fragile
from tests.support import Background, Wait, new, somebody_waits_for_us

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def connection_cut(times: int, at: str) -> Iterator[None]:
    """The server ends this thread's session, `times` times, before it gets a statement with `at` in it. It stays up."""
    cuts = iter(range(times))

    def cut(execute: Any, sql: str, *args: Any) -> Any:
        if at in sql and next(cuts, None) is not None:
            settings = {key: value for key, value in connection.get_connection_params().items() if key in LOGIN}
            with psycopg.connect(**settings, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        return execute(sql, *args)

    with connection.execute_wrapper(cut):
        yield
    assert next(cuts, None) is None, "it was cut as often as it should be"


@contextmanager
def disk_full(times: int, at: str) -> Iterator[None]:
    """The server says that its disk is full, `times` times, when it gets a statement with `at` in it."""
    rejections = iter(range(times))

    def reject(execute: Any, sql: str, params: Any, *args: Any) -> Any:
        if at in sql and next(rejections, None) is not None:
            sql, params = "DO $$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END $$", None
        return execute(sql, params, *args)

    with connection.execute_wrapper(reject):
        yield
    assert next(rejections, None) is None, "it was full as often as it should be"


LOGIN = ("dbname", "host", "port", "user", "password")
OUTAGES = pytest.mark.parametrize("outage", [connection_cut, disk_full])


@OUTAGES
def test_outage_inside_a_pass_is_no_event_s_fault(store: EventStore, outage: Any) -> None:
    """Django has a new connection by the time the error comes out of the transaction; it was lost all the same."""
    store.dispatch(new("a-1", "Counted"))
    with outage(1, "INSERT INTO readmodels_total"):
        Worker(registry.named(["tally"]), should_continue=lambda: not (tally() or ParkedEvent.objects.exists())).run()
    assert tally() == {"all": 1, "a-1": 1}
    assert not ParkedEvent.objects.exists()


@OUTAGES
@pytest.mark.parametrize(
    "at", ["projections_create_shadow_tables", 'DELETE FROM "projections_rebuild"'], ids=["beginning", "swap"]
)
def test_outage_inside_a_rebuild_does_not_stop_it(store: EventStore, at: str, outage: Any) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="test")
    with outage(1, at):
        Worker(registry.named(["tally"]), should_continue=lambda: Rebuild.objects.filter(error="").exists()).run()
    assert not Rebuild.objects.exists()
    assert tally() == {"all": 1, "a-1": 1}


class Deadlocks:
    """The handler and another session take two locks in opposite orders, for a number of times; the handler loses."""

    def __init__(self, times: int) -> None:
        self.left = times
        self._others = ExitStack()

    def check(self, event: Event) -> None:
        if not self.left:
            return
        self.end()
        self.left -= 1
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(1)")
            self._others.enter_context(Background(self._other))
            Wait.until(somebody_waits_for_us)
            cursor.execute("SET LOCAL deadlock_timeout = '5ms'")
            cursor.execute("SELECT pg_advisory_xact_lock(2)")

    def end(self) -> None:
        self._others.close()

    def _other(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL deadlock_timeout = '1min'")
            cursor.execute("SELECT pg_advisory_xact_lock(2)")
            cursor.execute("SELECT pg_advisory_xact_lock(1)")


@pytest.fixture
def deadlocks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[int], Deadlocks]]:
    made: list[Deadlocks] = []

    def make(times: int) -> Deadlocks:
        made.append(Deadlocks(times))
        monkeypatch.setattr(Fragile, "check", lambda self, event: made[-1].check(event))
        return made[-1]

    yield make
    for each in made:
        each.end()


@pytest.mark.parametrize("times", [1, 2, MAX_DEADLOCKS])
def test_deadlock_is_retried_and_not_counted(
    store: EventStore, deadlocks: Callable[[int], Deadlocks], times: int, caplog: pytest.LogCaptureFixture
) -> None:
    store.dispatch(fragile("a-1", 1), fragile("b-1"))
    made = deadlocks(times)
    catch_up("fragile")
    assert made.left == 0
    assert notes() == [("a-1", 1), ("b-1", 1)]
    assert not ParkedEvent.objects.exists()
    assert "attempts=" not in caplog.text
    assert (checkpoint("fragile").attempts, checkpoint("fragile").outages) == (0, 0)


def test_deadlock_in_a_retry_is_not_counted(
    store: EventStore, deadlocks: Callable[[int], Deadlocks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 60))
    store.dispatch(fragile("a-1", 1))
    registration.ensure_registered(instance(Fragile))
    runner.run_pass(instance(Fragile), checkpoint("fragile").pk, store.settled_position())
    assert ParkedEvent.objects.get().attempts == 1
    made = deadlocks(2)
    retried = [retries.retry_due(instance(Fragile), checkpoint("fragile").pk, seconds=1).events for _ in range(3)]
    assert (retried, made.left) == ([0, 0, 1], 0)
    assert notes() == [("a-1", 1)]


def test_deadlock_that_never_ends_counts_in_the_end(
    store: EventStore, deadlocks: Callable[[int], Deadlocks], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", ())
    store.dispatch(fragile("a-1", 1))
    deadlocks(100)
    catch_up("fragile")
    assert "deadlock detected" in ParkedEvent.objects.get().error
