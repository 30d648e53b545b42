"""Registration: where a projection begins, and whether it has history to catch up with."""

import pytest
from django.core.management import call_command

from events.store import EventStore
from projections import registry
from projections.base import NOW
from projections.engine import inline, registration
from projections.exceptions import OperationRejected
from projections.models import Operation, ProjectionState, Rebuild
from projections.operations import actions, status
from projections.testing import run_until_caught_up
from tests.projections.support import catch_up, instance, notes, tally
from tests.readmodels.models import FragileNote, Total
from tests.readmodels.projections import Fragile
from tests.support import in_threads, new, open_append, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


def test_first_writers_register_it_together_and_lose_nothing(store: EventStore, inline_fragile: None) -> None:
    def write(seed: int) -> None:
        for _ in range(20):
            store.dispatch(new(f"a-{seed}", "Fragile"))

    raise_first(in_threads(*[lambda seed=seed: write(seed) for seed in range(6)]))
    assert ProjectionState.objects.get(name="fragile").status == "running"
    assert sorted(notes()) == [(f"a-{seed}", version) for seed in range(6) for version in range(1, 21)]


def test_added_later_it_is_built_first_and_then_live(store: EventStore, inline_fragile: None) -> None:
    inline.unsubscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"), new("a-2", "Other"))
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == []
    found = status.report("fragile")
    assert (found.status, found.rows_version) == ("building", 1)
    assert Rebuild.objects.get(pk="fragile").in_place
    catch_up("fragile")
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 1), ("a-1", 2), ("a-1", 3)]


def test_added_from_now_on_it_leaves_history_out(
    store: EventStore, inline_fragile: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "start", NOW)
    inline.unsubscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    registration.ensure_registered(instance(Fragile))
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 2)]


# Where projections begin


def test_async_projection_added_later_starts_from_the_first_event_or_from_now(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1", "Counted"), new("a-1", "Fragile"))
    ProjectionState.objects.filter(name__in=["tally", "fragile"]).delete()
    monkeypatch.setattr(Fragile, "start", NOW)
    catch_up("tally", "fragile")
    assert (tally()["all"], notes()) == (1, [])
    store.dispatch(new("a-1", "Fragile"))
    catch_up("fragile")
    assert notes() == [("a-1", 3)]
    assert not FragileNote.objects.filter(version=2).exists()


# Tables with rows


@pytest.mark.usefixtures("running_worker")
def test_projection_registered_again_over_its_rows_waits_for_a_decision(store: EventStore) -> None:
    store.dispatch(new("a-1", "Counted"), new("a-2", "Counted"))
    catch_up("tally")
    for decision in ("rebuild", "keep"):
        before = tally()
        forget("tally")
        store.dispatch(new("a-1", "Counted"))
        catch_up("tally")
        found = status.report("tally")
        assert (found.status, tally()) == ("undecided", before)
        assert "count them twice" in found.status_reason
        assert found.problem() == "it has not started, because its tables already held rows"
        for rejected in (actions.pause, actions.resume):
            with pytest.raises(OperationRejected, match="has not started"):
                rejected("tally", by="x")
        if decision == "rebuild":
            actions.ask_for_rebuild("tally", by="x")
            with pytest.raises(OperationRejected, match="nothing to keep"):
                actions.keep_rows("tally", by="x")
            catch_up("tally")
            assert tally()["all"] == 3
        else:
            call_command("keep_rows", "tally", reason="they are right")
            assert Operation.objects.filter(action="keep", reason="they are right").exists()
            store.dispatch(new("a-1", "Counted"))
            catch_up("tally")
            assert tally()["all"] == 4, "the event stored in between is not counted"
        assert status.report("tally").status == "running"
    actions.ask_for_rebuild("tally", by="x")  # from the first event, whatever was kept
    catch_up("tally")
    assert tally()["all"] == 5


@pytest.mark.usefixtures("running_worker")
@pytest.mark.parametrize("in_place", [False, True])
def test_rebuild_of_an_undecided_projection_can_be_cancelled_before_it_begins(
    store: EventStore, in_place: bool
) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    forget("tally")
    registration.register_all()
    actions.ask_for_rebuild("tally", by="x", in_place=in_place)
    actions.cancel_rebuild("tally", by="x")
    assert (status.report("tally").status, tally()["all"]) == ("undecided", 1)
    actions.ask_for_rebuild("tally", by="x", in_place=in_place)
    catch_up("tally")
    assert (status.report("tally").status, tally()["all"]) == ("running", 1)


def test_inline_projection_over_rows_waits_too_and_then_starts(store: EventStore, inline_fragile: None) -> None:
    FragileNote.objects.create(aggregate_id="old", version=1)
    store.dispatch(new("a-1", "Fragile"))
    assert (status.report("fragile").status, notes()) == ("undecided", [("old", 1)])
    with open_append(store, new("b-1", "Fragile")), pytest.raises(OperationRejected, match="Try again"):
        actions.keep_rows("fragile", by="x")
    actions.keep_rows("fragile", by="x")
    store.dispatch(new("a-1", "Fragile"))
    found = status.report("fragile")
    assert (found.status, found.missed, notes()) == ("running", 0, [("old", 1), ("a-1", 2)])


@pytest.mark.usefixtures("running_worker")
def test_projection_that_starts_now_leaves_rows_as_they_are(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "start", NOW)
    FragileNote.objects.create(aggregate_id="old", version=1)
    forget("fragile")
    catch_up("fragile")
    store.dispatch(new("a-1", "Fragile"))
    catch_up("fragile")
    assert (status.report("fragile").status, notes()) == ("running", [("old", 1), ("a-1", 1)])


def test_helper_for_tests_says_that_a_projection_does_not_start(store: EventStore) -> None:
    Total.objects.create(key="all", count=1)
    forget("tally")
    with pytest.raises(OperationRejected, match="does not start"):
        run_until_caught_up("tally")


def forget(name: str) -> None:
    projection = type(registry.get(name))
    registry.unregister(projection)
    actions.forget(name)
    registry.register(projection)
