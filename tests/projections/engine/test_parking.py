"""Parked events: the one that failed, and those of its aggregate behind it; nothing else waits."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from events.models import Event
from events.store import EventStore
from projections.engine import runner
from projections.exceptions import OperationRejected
from projections.models import Checkpoint, Operation, ParkedEvent
from projections.operations import actions, status
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile
from tests.support import Background, Wait

pytestmark = pytest.mark.django_db(transaction=True)


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
