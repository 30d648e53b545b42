"""A failed pass is repeated: failing events step aside, and everything else of the batch is handled at once."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from projections.base import STOP
from projections.engine import registration, repetition
from projections.engine.runner import PassOutcome, PassResult, run_pass
from projections.models import Checkpoint, ParkedEvent
from tests.projections.engine.support import fragile
from tests.projections.support import checkpoint, instance, notes
from tests.readmodels.models import Step
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _late_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600,))


def one_pass() -> PassResult:
    registration.ensure_registered(instance(Fragile))
    return run_pass(instance(Fragile), checkpoint("fragile").pk, EventStore().settled_position())


def test_one_pass_handles_all_but_the_failing_event_and_those_behind_it(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    note = Fragile.note
    monkeypatch.setattr(Fragile, "project_batch", Fragile.project_batch)

    def counted(self: Fragile, event: Event) -> None:
        tried.append(event.position)
        note(self, event)

    counted.handled_types = ("Fragile",)  # type: ignore[attr-defined]
    monkeypatch.setattr(instance(Fragile), "_handlers", {"Fragile": [lambda event: counted(instance(Fragile), event)]})
    before = timezone.now()
    events = store.dispatch(*[fragile(f"a-{n % 10}", 1 if n in (23, 61) else None) for n in range(100)])
    found = one_pass()
    assert (found.outcome, found.position) == (PassOutcome.DONE, events[-1].position)
    assert found.events == len(notes()) == 100 - 2 - 7 - 3
    assert len(tried) <= 200
    assert [event.position for event in ParkedEvent.objects.failed()] == [events[23].position, events[61].position]
    assert found.retry_at is not None
    assert (found.retry_at - before).total_seconds() == pytest.approx(3600, abs=30)
    assert (checkpoint("fragile").attempts, checkpoint("fragile").batch_limit) == (0, None)
    # The next batch is as large as ever, and later events of both aggregates wait.
    store.dispatch(*[fragile(f"a-{n % 10}") for n in range(100)])
    assert one_pass().events == 100
    assert len(notes()) == 88 + 80


def test_error_that_would_appear_at_the_commit_belongs_to_its_event(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Foreign keys are checked at the end of a transaction. One pass finds the event, on sets as well."""

    def project_batch(self: Fragile, events: list[Event]) -> None:
        for event in events:
            self.note(event)

    monkeypatch.setattr(Fragile, "check", lambda self, event: Step.objects.create(case_id=-1, number=1, activity=""))
    monkeypatch.setattr(Fragile, "project_batch", project_batch)
    monkeypatch.setattr(Fragile, "types", ["Fragile"])
    store.dispatch(*[fragile(f"a-{n}", 1 if n == 37 else None) for n in range(100)])
    assert one_pass().outcome is PassOutcome.DONE
    assert ParkedEvent.objects.get().aggregate_id == "a-37"
    assert ParkedEvent.objects.get().error.startswith("IntegrityError")
    assert len(notes()) == 99


def test_projection_that_shall_stop_keeps_the_order_of_all_events(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "on_error", STOP)
    events = store.dispatch(*[fragile(f"a-{n}", 1 if n == 5 else None) for n in range(9)])
    assert one_pass().outcome is PassOutcome.FAILED
    found = checkpoint("fragile")
    assert (found.position, found.failing_position, found.attempts) == (events[4].position, events[5].position, 1)
    assert len(notes()) == 5
    assert not ParkedEvent.objects.exists()
    assert one_pass().outcome is PassOutcome.NOT_LOCKED


def test_long_repetition_commits_in_between_and_saves_no_waiting_event_twice(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(repetition, "MAX_SECONDS", 0)
    store.dispatch(fragile("old-1", 1))
    one_pass()
    later = [fragile(name) for _ in range(5) for name in ("old-1", "b-1", "a-1")]
    events = store.dispatch(fragile("a-1"), fragile("b-1", 1), *later)
    passes = 0
    while checkpoint("fragile").position < events[-1].position:
        assert one_pass().outcome is PassOutcome.DONE
        passes += 1
    assert passes > 1
    assert [version for _, version in notes()] == list(range(1, 7))
    assert ParkedEvent.objects.count() == 1 + 1 + 10


def test_event_that_takes_the_connection_with_it_is_found_behind_one_that_fails(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outage comes while the batch is repeated, and is counted as one of a pass."""

    def check(self: Fragile, event: Event) -> None:
        if event.data["poison"] == 2:
            connection.close()
        raise ValueError

    monkeypatch.setattr(Fragile, "check", check)
    events = store.dispatch(*[fragile(f"a-{n}", {3: 1, 6: 2}.get(n)) for n in range(9)])
    registration.ensure_registered(instance(Fragile))
    for _ in range(20):
        try:
            one_pass()
        except Exception:
            connection.close()
    assert checkpoint("fragile").position == events[-1].position
    assert {event.aggregate_id for event in ParkedEvent.objects.failed()} == {"a-3", "a-6"}
    assert len(notes()) == 7


def test_nothing_is_repeated_if_another_worker_has_gone_further(store: EventStore, monkeypatch: Any) -> None:
    events = store.dispatch(fragile("a-1", 1), fragile("b-1"))
    registration.ensure_registered(instance(Fragile))
    lock = repetition.failures.lock_unchanged

    def overtaken(projection: Any, seen: Checkpoint) -> Checkpoint | None:
        Checkpoint.objects.filter(pk=seen.pk).update(position=events[-1].position)
        return lock(projection, seen)

    monkeypatch.setattr(repetition.failures, "lock_unchanged", overtaken)
    assert one_pass().outcome is PassOutcome.NOT_LOCKED
    assert (notes(), ParkedEvent.objects.count()) == ([], 0)
