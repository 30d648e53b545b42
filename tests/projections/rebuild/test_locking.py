"""Rebuilds of INLINE projections lock out writers, shortly, and lose no event."""

import threading
from typing import Any

import pytest
from django.db import transaction

from events.store import EventStore
from projections.base import INLINE
from projections.engine import inline
from projections.models import Build, ProjectionState, Rebuild
from projections.operations import actions, status
from projections.rebuild import locking, preparation, swap
from projections.workers.scheduler import Schedule, plan
from tests import FULL
from tests.projections.rebuild.support import ending, expected_cases
from tests.projections.support import cases, catch_up, instance, notes
from tests.readmodels.models import Step
from tests.readmodels.projections import Broken, Cases, Fragile, Tally
from tests.support import Background, Wait, new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


def test_open_append_delays_the_building_of_an_inline_projection_and_nothing_else(
    store: EventStore, inline_cases: None
) -> None:
    store.dispatch(new("a-1"))
    for name in ("cases", "tally"):
        actions.ask_for_rebuild(name, by="x", in_place=True)
    with open_append(store, new("a-2")):
        begun = [task.projection for task in plan([instance(Cases), instance(Tally)]) if task.build == Build.REBUILD]
        assert begun == [instance(Tally)], "no writer runs the other one"
        waiting = Schedule([instance(Cases)], rebuilds_only=False)
        assert not waiting.has_reached(0), "the rebuild is left, although it has no task yet"
    catch_up("cases")
    assert waiting.has_reached(0)
    assert cases() == expected_cases()


def test_inline_rebuild_takes_in_what_lies_behind_an_open_append(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, no_subscribers: None
) -> None:
    """An append of another type holds the settled position back; the old rows have seen what came after it."""
    monkeypatch.setattr(Fragile, "mode", INLINE)
    ProjectionState.objects.filter(name="fragile").delete()
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    with open_append(store, new("b-1", "Other")):
        store.dispatch(new("a-1", "Fragile"))
        actions.ask_for_rebuild("fragile", by="x")
        preparation.prepare(instance(Fragile))
        assert swap.swap(instance(Fragile))
        assert notes() == [("a-1", 1), ("a-1", 2)]


def test_inline_rebuild_loses_nothing_while_appends_go_on(store: EventStore, inline_cases: None) -> None:
    """Writers hold transactions open, so positions commit out of order during the swap."""
    ended = threading.Event()

    def write(seed: int) -> None:
        number = 0
        while not ended.is_set():
            with transaction.atomic():
                store.dispatch(new(f"a-{seed}"), new(f"b-{seed}-{number % 5}"))
                if number % 3 == 0:
                    ended.wait(0.004)
                if number % 7 == 0:
                    transaction.set_rollback(True)
            number += 1

    with Background(lambda: write(1)), Background(lambda: write(2)), Background(lambda: write(3)), ending(ended):
        for _ in range(6 if FULL else 3):
            actions.ask_for_rebuild("cases", by="x")
            Wait.until(lambda: catch_up("cases") or not Rebuild.objects.exists(), timeout_seconds=60)
    assert cases() == expected_cases()


def test_swap_waits_for_an_open_append_and_blocks_other_writers_shortly(store: EventStore, inline_cases: None) -> None:
    store.dispatch(new("a-1"))
    actions.ask_for_rebuild("cases", by="x")
    preparation.prepare(instance(Cases))
    with open_append(store, new("a-2")):
        assert swap.swap(instance(Cases)) is False
        store.dispatch(new("a-3"))
    assert swap.swap(instance(Cases)) is True
    store.dispatch(new("a-1"))
    assert cases() == expected_cases()


def test_inline_projection_that_fails_in_a_rebuild_keeps_its_old_rows(
    store: EventStore, inline_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1"), new("a-2"))
    before = cases()
    with monkeypatch.context() as broken:

        def fail(*args: Any, **kwargs: Any) -> None:
            raise Broken("no")

        broken.setattr(Step.objects, "create", fail)
        actions.ask_for_rebuild("cases", by="x")
        catch_up("cases")
    assert cases() == before
    found = status.report("cases")
    assert (found.status, "Broken: no" in found.status_reason) == ("stopped", True)
    store.dispatch(new("a-3"))
    actions.resume("cases", by="x")
    catch_up("cases")
    assert cases() == expected_cases()
    assert status.report("cases").status == "running"


def test_swap_waits_longer_each_time_until_overlapping_transactions_let_it_in(
    store: EventStore, inline_cases: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one fixed wait, shorter than the transactions, it never gets the lock."""
    store.dispatch(new("a-1"))
    actions.ask_for_rebuild("cases", by="x")
    preparation.prepare(instance(Cases))
    monkeypatch.setattr(locking, "FIRST_WAIT_MS", 30)
    ended = threading.Event()

    def write(seed: int) -> None:
        ended.wait(0.1 * seed)
        while not ended.is_set():
            with transaction.atomic():
                store.dispatch(new(f"a-{seed}"))
                ended.wait(0.2)

    with Background(lambda: write(0)), Background(lambda: write(1)), ending(ended):
        Wait.until(lambda: Step.objects.count() >= 3)
        attempts = 1
        while not swap.swap(instance(Cases)):
            attempts += 1
            assert attempts < 8
        assert attempts > 1
    assert cases() == expected_cases()
    assert not locking._waits_ms
