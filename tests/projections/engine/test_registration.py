"""Registration: where a projection begins, and whether it has history to catch up with."""

import pytest

from events.store import EventStore
from projections.base import NOW
from projections.engine import inline, registration
from projections.models import ProjectionState, Rebuild
from projections.operations import status
from tests.projections.support import catch_up, instance, notes, tally
from tests.readmodels.models import FragileNote
from tests.readmodels.projections import Fragile
from tests.support import in_threads, new, raise_first

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
