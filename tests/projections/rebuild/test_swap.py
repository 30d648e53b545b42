"""The swap: readers see the old rows or the new ones, and no event is lost."""

import threading

import pytest
from django.db import connection

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.base import ASYNC, INLINE, Mode, handles
from projections.engine import inline, registration, runner
from projections.exceptions import OutdatedCode
from projections.models import Checkpoint, ParkedEvent, ProjectionState, Rebuild
from projections.operations import actions, status
from projections.rebuild import preparation, swap
from projections.workers.scheduler import plan
from tests import FULL
from tests.projections.rebuild.support import ending, expected_cases
from tests.projections.support import cases, catch_up, instance, notes, tally
from tests.readmodels.models import FragileNote, Total
from tests.readmodels.projections import Broken, Cases, Fragile, Tally
from tests.support import Background, Wait, new

pytestmark = pytest.mark.django_db(transaction=True)


STORED = 1500 if FULL else 300


def test_readers_see_old_rows_or_new_ones_while_events_flow(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(number: int) -> None:
        store.dispatch(new(f"a-{number % 3}", "Counted"))

    for number in range(STORED):
        counted(number)
    catch_up("tally")
    monkeypatch.setattr(Tally, "batch_events", 20)
    monkeypatch.setattr(swap, "NEAR_EVENTS", 40)  # or the swap would do the whole of so small a rebuild
    ended = threading.Event()
    seen: list[dict[str, int]] = []

    def read() -> None:
        while not ended.wait(0.001):
            seen.append(tally())

    def write() -> None:
        number = 0
        while not ended.is_set():
            counted(number)
            number += 1
            ended.wait(0.005)  # a projection that cannot keep up would never be rebuilt

    with Background(read), Background(write), ending(ended):
        for _ in range(3):
            actions.ask_for_rebuild("tally", by="x")
            Wait.until(lambda: catch_up("tally") or not Rebuild.objects.exists())
    catch_up("tally")
    for rows in seen:
        assert rows["all"] == sum(count for key, count in rows.items() if key != "all")
        assert rows["all"] >= STORED
    totals = [rows["all"] for rows in seen]
    assert totals == sorted(totals), "nobody sees a row go back in time"
    assert tally()["all"] == Event.objects.count()


def test_rebuild_beside_and_in_place_come_to_the_same(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(300)])
    catch_up("tally")
    before = tally()
    for in_place in (False, True):
        Total.objects.update(count=0)
        actions.ask_for_rebuild("tally", by="x", in_place=in_place)
        catch_up("tally")
        assert tally() == before
        assert not Rebuild.objects.exists()


def test_old_code_keeps_serving_the_old_rows_until_the_swap(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rolling deployment: workers of both versions run at the same time."""
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    monkeypatch.setattr(Tally, "version", 1)
    store.dispatch(new("a-1", "Counted"))
    (task,) = plan([instance(Tally)])
    assert task.build == "live"
    monkeypatch.setattr(Tally, "version", 2)
    catch_up("tally")
    assert tally()["all"] == 2
    monkeypatch.setattr(Tally, "version", 1)
    assert plan([instance(Tally)]) == []


def test_poison_in_a_rebuild_is_parked_with_the_new_rows(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("a-1", "Fragile"), new("b-1", "Fragile", data={"poison": 1}), new("b-1", "Fragile"))
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    catch_up("fragile")
    assert FragileNote.objects.count() == 3
    monkeypatch.undo()
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert FragileNote.objects.count() == 1
    assert [event.build for event in ParkedEvent.objects.all()] == ["live", "live"]


def test_swap_reaches_the_position_of_the_old_rows(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(60)])
    catch_up("tally")
    before = tally()
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    assert swap.swap(instance(Tally))
    assert tally() == before
    assert catch_up("tally") is None
    assert tally() == before


def test_swap_waits_for_a_pass_over_the_old_rows(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the pass would add a row to the tables after they have been compared."""
    catch_up("tally")
    inside, may_end, worker = threading.Event(), threading.Event(), threading.Event()
    count = Tally.count

    def slowly(self: Tally, event: Event) -> None:
        count(self, event)
        if threading.current_thread() is not threading.main_thread() and not worker.is_set():
            worker.set()
            inside.set()
            may_end.wait(20)

    monkeypatch.setattr(Tally, "count", handles("Counted")(slowly))
    registry._instances.pop(Tally, None)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    store.dispatch(new("z-1", "Counted"))
    with Background(lambda: runner.run_pass(instance(Tally), _live("tally"), store.settled_position())):
        assert inside.wait(20)
        with Background(lambda: swap.swap(instance(Tally))) as swapping:
            Wait.until(lambda: _waits_for_a_lock() or swapping.result is not None)
            may_end.set()
    assert swapping.result is True
    catch_up("tally")
    assert tally() == {"all": 1, "z-1": 1}
    registry._instances.pop(Tally, None)


def _live(name: str) -> int:
    return Checkpoint.objects.live().get(projection=name).pk


def _waits_for_a_lock() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])


def test_projection_stays_paused_after_the_swap(store: EventStore) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    actions.pause("tally", by="x")
    assert swap.swap(instance(Tally))
    assert status.report("tally").status == "paused"


def test_skipped_event_behind_a_poison_one_stays_skipped(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "check", lambda self, event: None if event.version == 1 else fail())

    def fail() -> None:
        raise Broken("no")

    store.dispatch(*[new("a-1", "Fragile", data={"poison": 1}) for _ in range(2)])
    catch_up("fragile")
    parked = ParkedEvent.objects.get()
    actions.skip("fragile", parked.position, by="x", reason="a test")
    monkeypatch.setattr(Fragile, "check", lambda self, event: fail())
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    actions.retry("fragile", by="x")
    assert notes() == [("a-1", 1)]


# INLINE


def test_old_code_is_rejected_once_rows_are_of_newer_code(
    store: EventStore, inline_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1"))
    monkeypatch.setattr(Cases, "version", 2)
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    monkeypatch.setattr(Cases, "version", 1)
    with pytest.raises(OutdatedCode, match="Restart it with the new code"):
        store.dispatch(new("a-1"))
    monkeypatch.setattr(Cases, "version", 2)
    store.dispatch(new("a-1"))
    assert cases() == expected_cases()


@pytest.mark.parametrize("modes", [(ASYNC, INLINE), (INLINE, ASYNC)])
def test_mode_can_change_by_a_rebuild(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, modes: tuple[Mode, Mode]
) -> None:
    before, after = modes
    monkeypatch.setattr(Cases, "mode", before)
    ProjectionState.objects.filter(name="cases").delete()
    inline.subscribe(instance(Cases))
    registration.ensure_registered(instance(Cases))
    store.dispatch(new("a-1"), new("a-2"))
    if before is ASYNC:
        catch_up("cases")
    assert len(cases()[1]) == 2
    monkeypatch.setattr(Cases, "mode", after)
    assert status.report("cases").status == "outdated"
    actions.ask_for_rebuild("cases", by="x")
    catch_up("cases")
    store.dispatch(new("a-1"))
    if after is ASYNC:
        assert len(cases()[1]) == 2
        catch_up("cases")
    assert cases() == expected_cases()
