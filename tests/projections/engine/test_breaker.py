"""The breaker: broken code stops the projection before it parks event after event."""

from typing import Any

import pytest
from django.db.models import Max

from events.models import Event
from events.store import EventStore
from projections.engine import breaker
from projections.models import Checkpoint, ParkedEvent, Rebuild
from projections.operations import actions, status
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, notes
from tests.readmodels.projections import Fragile


def record(*outcomes: int | str) -> Checkpoint:
    """Return a checkpoint after numbers of handled events, and failed events of aggregates."""
    found = Checkpoint()
    for outcome in outcomes:
        if isinstance(outcome, int):
            breaker.note_handled(found, outcome)
        else:
            breaker.note_failed(found, outcome)
    return found


def failed(number: int, aggregates: int) -> list[str]:
    return [f"a-{n % aggregates}" for n in range(number)]


@pytest.mark.parametrize(
    ("outcomes", "is_broken"),
    [
        (failed(101, 20), True),
        (failed(100, 20), False),
        (failed(200, 19), False),
        ([*failed(101, 20), 99], True),
        ([*failed(101, 20), 100], False),
        ([1_000_000, *failed(101, 101)], True),
        ([entry for each in failed(300, 300) for entry in (each, 1)], False),
    ],
)
def test_more_than_half_of_the_last_events_of_many_aggregates_mean_broken_code(
    outcomes: list[Any], is_broken: bool
) -> None:
    assert breaker.is_broken(record(*outcomes)) is is_broken


def test_record_exists_only_while_one_of_the_last_events_has_failed() -> None:
    assert record(5).recent is None
    found = record("a-1", 199)
    assert breaker.count(found) == (1, 1)
    assert found.failing_since is not None
    breaker.note_handled(found, 1)
    assert (found.recent, found.failing_since) == (None, None)


def test_record_stays_small() -> None:
    found = record(*[entry for n in range(5000) for entry in (f"a-{n}" * 100, 1)])
    assert found.recent is not None
    assert len(found.recent) <= breaker.LAST_EVENTS
    assert len(str(found.recent)) < 4000


def test_events_that_wait_count_only_behind_failures_on_the_record() -> None:
    found = record(*failed(20, 20))
    breaker.note_waiting(found, ["old-1"] * 100)
    assert breaker.count(found) == (20, 20)
    breaker.note_waiting(found, ["a-1"] * 81)
    assert breaker.is_broken(found)
    clean = Checkpoint()
    breaker.note_waiting(clean, ["old-1"])
    assert clean.recent is None


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [TypeError("broken code"), TimeoutError("no answer")])
def test_broken_code_stops_the_projection_and_goes_on_when_it_is_mended(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any, error: Exception
) -> None:
    def fail(self: Fragile, event: Event) -> None:
        raise error

    monkeypatch.setattr(Fragile, "check", fail)
    store.dispatch(*[fragile(f"a-{n}", 1) for n in range(300)])
    catch_up("fragile")
    found = status.report("fragile")
    assert found.status == "stopped"
    assert "101 of the last 200 events could not be handled, of 101 aggregates, since 20" in found.status_reason
    assert str(error) in found.status_reason
    assert "run resume_projection fragile" in found.status_reason
    assert found.problem() == "it has stopped"
    # What has failed is not lost to an operator, and the rest is untouched.
    assert (found.retrying, found.parked) == (101, 0)
    assert checkpoint("fragile").position == ParkedEvent.objects.aggregate(last=Max("position"))["last"]
    catch_up("fragile")
    assert notes() == []

    mended()
    actions.resume("fragile", by="x")
    assert checkpoint("fragile").recent is None
    catch_up("fragile")
    assert sorted(notes()) == sorted((f"a-{n}", 1) for n in range(300))
    assert not ParkedEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_rebuild_with_broken_code_stops_alone(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, mended: Any
) -> None:
    store.dispatch(*[fragile(f"a-{n}", 1) for n in range(150)])
    with monkeypatch.context() as patch:
        patch.setattr(Fragile, "check", lambda self, event: None)
        catch_up("fragile")
    actions.ask_for_rebuild("fragile", by="x")
    catch_up("fragile")
    assert "101 of the last 200 events" in Rebuild.objects.get().error
    assert len(notes()) == 150, "the served rows stay"
    mended()
    actions.resume("fragile", by="x")
    catch_up("fragile")
    assert not Rebuild.objects.exists()
    assert sorted(notes()) == sorted((f"a-{n}", 1) for n in range(150))


@pytest.mark.usefixtures("running_worker")
@pytest.mark.django_db(transaction=True)
def test_many_bad_events_among_good_ones_stop_nothing(store: EventStore) -> None:
    for _ in range(3):
        store.dispatch(*[fragile(f"a-{n}-{_}", n % 3 == 0) for n in range(150)])
        catch_up("fragile")
    assert status.report("fragile").status == "running"
    assert (ParkedEvent.objects.count(), len(notes())) == (150, 300)
