"""A pass that failed: retried, narrowed down to its event, or stopped."""

from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from projections.base import STOP
from projections.engine import registration, runner
from projections.exceptions import OperationRejected
from projections.models import Checkpoint, ParkedEvent
from projections.operations import actions, status
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


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
