"""Events in a schema version that this code does not know: a projection waits for newer code, and skips nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from events.domain import DomainEvent, upcasts
from events.exceptions import UnreadableEvent
from events.models import Event
from events.store import EventStore
from events.testing import isolated_registry
from events.types import NewEvent
from projections.base import STOP
from projections.engine import runner
from projections.models import Build, Checkpoint, ParkedEvent
from projections.operations import actions, status
from projections.workers.worker import Until, Worker
from tests.projections.support import catch_up, checkpoint, instance, notes
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def code_of(version: int, *, fails: bool = False) -> Iterator[Any]:
    """Be code that knows the type Fragile up to a version."""
    with isolated_registry():

        class Fragile(DomainEvent, version=version):
            poison: int | None = None

        for to in range(2, version + 1):

            @upcasts(Fragile, to=to)
            def to_next(data: dict[str, Any]) -> dict[str, Any]:
                if fails:
                    raise ZeroDivisionError
                return data

        yield Fragile


@pytest.fixture
def stored() -> list[Event]:
    """Events of version 1, then one of version 2 in the middle, then again of version 1."""
    store = EventStore()

    def append(version: int, *aggregate_ids: str) -> list[Event]:
        with code_of(version) as fragile:
            return store.dispatch(*[NewEvent(each, fragile()) for each in aggregate_ids])

    return [*append(1, "a-1", "b-1"), *append(2, "a-1"), *append(1, "c-1", "a-1")]


def one_pass() -> runner.PassOutcome:
    return runner.run_pass(instance(Fragile), checkpoint("fragile").pk, EventStore().settled_position()).outcome


@pytest.mark.usefixtures("running_worker")
def test_projection_waits_without_an_attempt_until_newer_code_takes_the_event(stored: list[Event]) -> None:
    before = timezone.now()
    with code_of(1):
        assert one_pass() is runner.PassOutcome.DONE
        assert notes() == [("a-1", 1), ("b-1", 1)], "what comes before is handled"
        for _ in range(3):
            assert one_pass() is runner.PassOutcome.WAITING
        waiting = checkpoint("fragile")
        assert (waiting.position, waiting.failing_position) == (stored[1].position, stored[2].position)
        assert (waiting.attempts, waiting.next_attempt_at) == (0, None)
        assert "this code knows Fragile up to version 1; deploy the newer code" in waiting.error
        found = status.report("fragile")
        assert found.status is status.ReportedStatus.WAITING
        assert found.status_reason == f"waits for newer code at position {stored[2].position}"
        assert found.since is not None
        assert before <= found.since <= timezone.now()
        assert "schema version 2" in found.last_error
    assert not ParkedEvent.objects.exists()
    with code_of(2):
        assert one_pass() is runner.PassOutcome.DONE
    assert notes() == [("a-1", 1), ("b-1", 1), ("a-1", 2), ("c-1", 1), ("a-1", 3)]
    found = status.report("fragile")
    assert (found.status, found.last_error) == (status.ReportedStatus.RUNNING, "")
    assert checkpoint("fragile").waiting_since is None


def test_old_code_does_not_undo_the_attempts_of_newer_code(
    stored: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (0, 0, 0))
    monkeypatch.setattr(Fragile, "on_error", STOP)  # which retries in place
    with code_of(1):
        one_pass()
        assert one_pass() is runner.PassOutcome.WAITING
    with code_of(2), monkeypatch.context() as patch:
        patch.setattr(Fragile, "_reads_content", True)
        patch.setattr(Fragile, "project_batch", lambda self, events: 1 / 0)
        while checkpoint("fragile").attempts == 0:
            assert one_pass() is runner.PassOutcome.FAILED
    with code_of(1):
        assert one_pass() is runner.PassOutcome.WAITING
    failed = checkpoint("fragile")
    assert (failed.attempts, failed.waiting_since) == (1, None)


def test_worker_of_old_code_rests_and_newer_one_beside_it_works(stored: list[Event]) -> None:
    with code_of(1):
        passes = []
        original = runner.run_pass

        def counted(*args: Any, **kwargs: Any) -> Any:
            passes.append(timezone.now())
            return original(*args, **kwargs)

        end = timezone.now() + timedelta(seconds=2.5)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "run_pass", counted)
            Worker([instance(Fragile)], should_continue=lambda: timezone.now() < end).run()
        assert 2 <= len(passes) <= 6, "a pass at each plan, and not in a busy loop"
    with code_of(2):
        catch_up("fragile")
    assert len(notes()) == 5


def test_worker_that_shall_catch_up_ends_with_the_reason(stored: list[Event]) -> None:
    with code_of(1):
        with pytest.raises(CommandError, match=r"'fragile' waits for newer code, deploy it .*up to version 1"):
            call_command("run_projections", "fragile", until_caught_up=True)
        Worker([instance(Fragile)], until=Until.ONCE).run()
    assert len(notes()) == 2


@pytest.mark.usefixtures("running_worker")
def test_rebuild_waits_too(stored: list[Event]) -> None:
    with code_of(2):
        catch_up("fragile")
        actions.ask_for_rebuild("fragile", by="a test")
    with code_of(1):
        with pytest.raises(Exception, match="waits for newer code"):
            catch_up("fragile")
        found = status.report("fragile")
        assert found.status is status.ReportedStatus.REBUILDING
        assert found.status_reason.endswith(f"waits for newer code at position {stored[2].position}")
        assert len(notes()) == 5, "the rows that are served stay"
    assert Checkpoint.objects.get(build=Build.REBUILD, projection="fragile").attempts == 0
    with code_of(2):
        catch_up("fragile")
    assert status.report("fragile").status is status.ReportedStatus.RUNNING
    assert len(notes()) == 5


def test_upcaster_that_raises_parks_the_event_and_its_aggregate_alone(stored: list[Event]) -> None:
    with code_of(2, fails=True):
        catch_up("fragile")
    failed = ParkedEvent.objects.failed()
    assert [(each.aggregate_id, each.attempts) for each in failed] == [("a-1", 1), ("b-1", 1), ("c-1", 1)]
    assert notes() == []
    assert "Fragile in schema version 1: ZeroDivisionError" in failed[0].error
    assert UnreadableEvent.__name__ in failed[0].traceback
    with code_of(2):
        assert actions.retry("fragile", by="a test")[1] == 0
    assert sorted(notes()) == sorted([("a-1", 1), ("b-1", 1), ("a-1", 2), ("c-1", 1), ("a-1", 3)])


def test_parked_event_that_needs_newer_code_stays_parked_without_an_attempt(stored: list[Event]) -> None:
    with code_of(3, fails=True):
        catch_up("fragile")
    with code_of(1):
        handled, left = actions.retry("fragile", by="a test", aggregate_id="a-1")
    assert (handled, left) == (1, 2)
    parked = ParkedEvent.objects.get(position=stored[2].position)
    assert parked.attempts == 0, "it only waited behind the first one"
    assert "deploy the newer code first" in parked.error
    with code_of(3):
        assert actions.retry("fragile", by="a test")[1] == 0
