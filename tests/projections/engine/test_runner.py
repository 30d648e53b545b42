"""One pass: events, rows and checkpoint in one transaction; nothing past the bound, nothing twice."""

import pytest
from django.db import connection

from events.store import EventStore
from projections.base import STOP, handles
from projections.engine import checkpoints
from projections.engine.runner import PassOutcome, PassResult, run_pass
from projections.models import Checkpoint
from tests.projections.support import checkpoint, instance, notes, tally
from tests.readmodels.projections import Broken, Fragile, Tally
from tests.support import in_threads, new

pytestmark = pytest.mark.django_db(transaction=True)


def counted(number: int) -> list[int]:
    return [event.position for event in EventStore().dispatch(*[new("a-1", "Counted") for _ in range(number)])]


def test_pass_takes_a_batch_and_moves_the_checkpoint_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = counted(5)
    monkeypatch.setattr(Tally, "batch_events", 2)
    pk = checkpoint("tally").pk
    found = [run_pass(instance(Tally), pk, positions[-1]) for _ in range(4)]
    assert [(each.outcome, each.events) for each in found] == [(PassOutcome.DONE, n) for n in (2, 2, 1, 0)]
    assert [each.position for each in found] == [positions[1], positions[3], positions[4], positions[4]]
    assert tally() == {"all": 5, "a-1": 5}


def test_pass_leaves_events_past_its_bound() -> None:
    positions = counted(5)
    assert run_pass(instance(Tally), checkpoint("tally").pk, positions[2]) == PassResult(
        PassOutcome.DONE, 3, positions[2]
    )
    assert tally()["all"] == 3


def test_rows_and_checkpoint_go_together_when_the_pass_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    positions = counted(3)

    def fail(*args: object) -> None:
        raise RuntimeError("after the handlers")

    before = checkpoint("tally").position
    monkeypatch.setattr(checkpoints, "save_position", fail)
    with pytest.raises(RuntimeError):
        run_pass(instance(Tally), checkpoint("tally").pk, positions[-1], raise_errors=True)
    assert (checkpoint("tally").position, tally()) == (before, {})


def test_failed_pass_keeps_nothing_but_the_failure(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "on_error", STOP)
    poison, _ = store.dispatch(new("a-2", "Fragile", data={"poison": 1}), new("a-1", "Fragile"))
    before = checkpoint("fragile").position
    with pytest.raises(Broken):
        run_pass(instance(Fragile), checkpoint("fragile").pk, poison.position, raise_errors=True)
    assert checkpoint("fragile").error == ""
    found = run_pass(instance(Fragile), checkpoint("fragile").pk, poison.position)
    assert (found.outcome, found.position) == (PassOutcome.FAILED, before)
    assert (checkpoint("fragile").position, notes()) == (before, [])
    assert "cannot handle 1" in checkpoint("fragile").error


def test_pass_over_a_checkpoint_that_is_gone_or_of_other_code_is_not_ours() -> None:
    (position,) = counted(1)
    pk = checkpoint("tally").pk
    Checkpoint.objects.filter(pk=pk).update(version=99)
    assert run_pass(instance(Tally), pk, position).outcome is PassOutcome.NOT_LOCKED
    Checkpoint.objects.filter(pk=pk).delete()
    assert run_pass(instance(Tally), pk, position).outcome is PassOutcome.NOT_LOCKED
    assert tally() == {}


def test_passes_side_by_side_handle_each_event_once() -> None:
    positions = counted(40)
    pk = checkpoint("tally").pk
    found = in_threads(*[lambda: run_pass(instance(Tally), pk, positions[-1])] * 4)
    assert sum(each.events for each in found if each.outcome is PassOutcome.DONE) == 40
    assert tally()["all"] == 40


def test_commit_of_a_pass_does_not_wait_for_the_disk_and_that_of_others_does() -> None:
    (position,) = counted(1)
    said: list[str] = []

    class Asking(Tally):
        @handles("Counted")
        def count(self, event: object) -> None:
            with connection.cursor() as cursor:
                cursor.execute("SHOW synchronous_commit")
                said.append(cursor.fetchone()[0])

    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = on")
        run_pass(Asking(), checkpoint("tally").pk, position)
        cursor.execute("SHOW synchronous_commit")
        assert (said, cursor.fetchone()[0]) == (["off"], "on")
