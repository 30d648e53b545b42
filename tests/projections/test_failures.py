"""Events that cannot be handled: found, retried, parked with those behind them, replayed; nothing else waits."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from projections.base import STOP
from projections.engine import registration, runner
from projections.exceptions import OperationRejected
from projections.models import Checkpoint, Operation, ParkedEvent
from projections.operations import actions, status
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.models import Step
from tests.readmodels.projections import Fragile
from tests.support import Background, Wait, in_threads, new, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


def fragile(aggregate_id: str, poison: Any = None) -> Any:
    return new(aggregate_id, "Fragile", data={"poison": poison} if poison else {})


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Mends the code of the projection, when it is called."""
    return lambda: monkeypatch.setattr(Fragile, "check", lambda self, event: None)


@pytest.fixture
def on_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same projection, working on sets: it cannot say which event is at fault."""

    def project_batch(self: Fragile, events: list[Event]) -> None:
        for event in events:
            self.note(event)

    monkeypatch.setattr(Fragile, "project_batch", project_batch)
    monkeypatch.setattr(Fragile, "types", ["Fragile"])


@pytest.mark.parametrize("kind", ["by event", "on sets"])
def test_poison_event_is_parked_and_only_its_aggregate_waits(
    store: EventStore, kind: str, request: Any, mended: Callable[[], None]
) -> None:
    if kind == "on sets":
        request.getfixturevalue("on_sets")
    for number in range(1, 8):
        store.dispatch(fragile("a-1"), fragile("b-1", "ham" if number == 3 else None), fragile("c-1"))
    catch_up("fragile")

    assert sorted(notes()) == [("a-1", n) for n in range(1, 8)] + [("b-1", 1), ("b-1", 2)] + [
        ("c-1", n) for n in range(1, 8)
    ]
    first, *waiting = ParkedEvent.objects.filter(projection="fragile")
    assert (first.aggregate_id, first.type, first.attempts) == ("b-1", "Fragile", 3)
    assert first.error == "Broken: cannot handle 'ham'"
    assert "in check" in first.traceback
    assert [event.error for event in waiting] == [""] * 4
    assert status.report("fragile").parked == 5
    assert status.report("fragile").lag_events == 0

    # Later ones of that aggregate wait as well, others do not.
    store.dispatch(fragile("b-1"), fragile("a-1"))
    catch_up("fragile")
    assert ("a-1", 8) in notes()
    assert ParkedEvent.objects.count() == 6

    mended()
    assert actions.retry("fragile", by="somebody", reason="mended") == (6, 0)
    assert [version for aggregate, version in notes() if aggregate == "b-1"] == list(range(1, 9))
    assert not ParkedEvent.objects.exists()
    incremental = sorted(notes())
    actions.ask_for_rebuild("fragile", by="somebody")
    catch_up("fragile")
    assert sorted(notes()) == incremental
    record = Operation.objects.get(action="retry")
    assert (record.by, record.reason, record.outcome) == ("somebody", "mended", "6 handled, 0 still parked")


def test_retry_stops_at_what_fails_again_and_keeps_what_went_well(store: EventStore, mended: Any) -> None:
    store.dispatch(fragile("a-1", 1), fragile("a-1"), fragile("b-1", 2), fragile("b-1"))
    catch_up("fragile")
    assert actions.retry("fragile", by="x") == (0, 4)
    assert notes() == []
    assert ParkedEvent.objects.get(aggregate_id="a-1", error__gt="").attempts == 4
    mended()
    assert actions.retry("fragile", by="x", aggregate_id="b-1") == (2, 0)
    assert notes() == [("b-1", 1), ("b-1", 2)]
    with pytest.raises(OperationRejected, match="no parked events of aggregate 'b-1'"):
        actions.retry("fragile", by="x", aggregate_id="b-1")


def test_skip_gives_up_one_event_with_a_reason_and_replays_those_behind(store: EventStore) -> None:
    poison, behind = store.dispatch(fragile("a-1", 1), fragile("a-1"))
    catch_up("fragile")
    with pytest.raises(OperationRejected, match="reason"):
        actions.skip("fragile", poison.position, by="x", reason=" ")
    with pytest.raises(OperationRejected, match=f"Failed events are parked at: {poison.position}"):
        actions.skip("fragile", behind.position, by="x", reason="no")
    assert actions.skip("fragile", poison.position, by="x", reason="a test order") == (1, 0)
    assert notes() == [("a-1", 2)]
    record = Operation.objects.get(action="skip")
    assert (record.aggregate_id, record.position, record.reason) == ("a-1", poison.position, "a test order")
    # It stays given up in a rebuild of this version.
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 2)]
    assert not ParkedEvent.objects.exists()


def test_new_version_gets_to_see_skipped_events_again(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    (poison,) = store.dispatch(fragile("a-1", 1))
    catch_up("fragile")
    actions.skip("fragile", poison.position, by="x", reason="for now")
    monkeypatch.setattr(Fragile, "version", 2)
    mended()
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 1)]


def test_transient_error_is_retried_and_nothing_is_parked(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    failures: list[int] = []

    def fail_twice(self: Fragile, event: Event) -> None:
        if len(failures) < 2:
            failures.append(event.position)
            raise TimeoutError("no answer")

    monkeypatch.setattr(Fragile, "check", fail_twice)
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600, 3600))
    _, poison = store.dispatch(fragile("a-1"), fragile("b-1", 1))
    catch_up_to = store.settled_position()
    projection = instance(Fragile)
    registration.ensure_registered(projection)

    def one_pass() -> runner.PassOutcome:
        return runner.run_pass(projection, checkpoint("fragile").pk, catch_up_to).outcome

    assert one_pass() is runner.PassOutcome.FAILED  # narrows down: what comes before is done by itself
    assert one_pass() is runner.PassOutcome.DONE
    assert notes() == [("a-1", 1)]
    before = timezone.now()
    assert one_pass() is runner.PassOutcome.FAILED
    found = status.report("fragile")
    assert (found.attempts, found.last_error) == (1, "TimeoutError: no answer")
    assert found.next_attempt_at is not None
    assert found.next_attempt_at > before
    assert checkpoint("fragile").failing_position == poison.position
    assert one_pass() is runner.PassOutcome.NOT_LOCKED  # not due yet
    Checkpoint.objects.update(next_attempt_at=before)
    assert one_pass() is runner.PassOutcome.DONE
    assert notes() == [("a-1", 1), ("b-1", 1)]
    assert not ParkedEvent.objects.exists()
    assert status.report("fragile").attempts == 0


def test_projection_that_shall_stop_stops_and_goes_on_when_it_is_resumed(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    monkeypatch.setattr(Fragile, "on_error", STOP)
    _, poison, _ = store.dispatch(fragile("a-1"), fragile("b-1", 1), fragile("a-1"))
    catch_up("fragile")
    found = status.report("fragile")
    assert found.status == "stopped"
    assert "Broken: cannot handle 1" in found.status_reason
    assert str(poison.position) in found.status_reason
    assert found.problem() == "it has stopped"
    assert (notes(), found.lag_events) == ([("a-1", 1)], 2)
    mended()
    catch_up("fragile")
    assert notes() == [("a-1", 1)]
    actions.resume("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 1), ("b-1", 1), ("a-1", 2)]
    with pytest.raises(OperationRejected, match="nothing to resume"):
        actions.resume("fragile", by="x")


def test_error_at_commit_and_swallowed_database_error_are_pinned_down_too(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swallow(self: Fragile, event: Event) -> None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1 / 0")
        except Exception:  # noqa: S110
            pass

    monkeypatch.setattr(Fragile, "check", swallow)
    store.dispatch(*[fragile(f"a-{n}", 1 if n == 5 else None) for n in range(9)])
    catch_up("fragile")
    assert [event.aggregate_id for event in ParkedEvent.objects.all()] == ["a-5"]
    assert len(notes()) == 8


def test_paused_projection_is_left_alone_and_loses_nothing(store: EventStore) -> None:
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    actions.pause("fragile", by="x", reason="maintenance")
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    assert notes() == [("a-1", 1)]
    found = status.report("fragile")
    assert (found.status, found.status_reason, found.lag_events) == ("paused", "by x: maintenance", 1)
    actions.resume("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 1), ("a-1", 2)]
    assert list(Operation.objects.order_by("at").values_list("action", flat=True)) == ["pause", "resume"]


def test_no_worker_parks_an_event_behind_those_that_are_being_replayed(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for ever: behind nothing, and nobody would see an error."""
    store.dispatch(fragile("a-1", 1))
    catch_up("fragile")
    inside, may_end = threading.Event(), threading.Event()

    def slowly(self: Fragile, event: Event) -> None:
        inside.set()
        may_end.wait(20)

    monkeypatch.setattr(Fragile, "check", slowly)
    with Background(lambda: actions.retry("fragile", by="x")):
        assert inside.wait(20)
        store.dispatch(fragile("a-1"))
        settled = store.settled_position()
        result = runner.run_pass(instance(Fragile), checkpoint("fragile").pk, settled)
        may_end.set()
    assert result.outcome is runner.PassOutcome.NOT_LOCKED
    catch_up("fragile")
    assert notes() == [("a-1", 1), ("a-1", 2)]
    assert not ParkedEvent.objects.exists()


def test_error_that_shows_at_commit_is_found_by_a_retry_too(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Foreign keys are checked at the end of a transaction: without a check for each event, one would spoil all."""

    def refer_to_nothing(self: Fragile, event: Event) -> None:
        if event.aggregate_id == "a-1":
            Step.objects.create(case_id=-1, number=1, activity="")

    monkeypatch.setattr(Fragile, "check", refer_to_nothing)
    store.dispatch(fragile("a-1", 1), fragile("b-1"))
    catch_up("fragile")
    assert ParkedEvent.objects.get().error.startswith("IntegrityError")
    assert actions.retry("fragile", by="x") == (0, 1)
    assert ParkedEvent.objects.get().attempts == 4


def test_pass_that_parks_events_and_an_operator_do_not_deadlock(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(fragile("a-1", 1))
    catch_up("fragile")
    inside, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(Fragile, "check", lambda self, event: inside.set() or may_end.wait(20))
    store.dispatch(fragile("a-1"), fragile("b-1", 1))
    Checkpoint.objects.update(batch_limit=None)  # so that one pass takes both
    settled = store.settled_position()
    with Background(lambda: runner.run_pass(instance(Fragile), checkpoint("fragile").pk, settled)) as at_work:
        assert inside.wait(20)
        with Background(lambda: actions.pause("fragile", by="x")):
            Wait.until(_somebody_waits)
            may_end.set()
    assert at_work.result.outcome is runner.PassOutcome.DONE
    assert status.report("fragile").status == "paused"
    assert ParkedEvent.objects.count() == 2


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_retry_and_workers_side_by_side_keep_the_order(store: EventStore, mended: Any) -> None:
    """Without the locks on the shards, a worker could handle a later event between the replayed ones."""
    store.dispatch(*[fragile("a-1", 1 if n == 0 else None) for n in range(200)])
    catch_up("fragile")
    mended()

    def append() -> None:
        for _ in range(100):
            store.dispatch(fragile("a-1"))
            catch_up("fragile")

    def retry() -> None:
        while ParkedEvent.objects.exists():
            actions.retry("fragile", by="x")

    raise_first(in_threads(append, append, retry))
    catch_up("fragile")
    if ParkedEvent.objects.exists():
        actions.retry("fragile", by="x")
    assert [version for _, version in notes()] == list(range(1, 401))
