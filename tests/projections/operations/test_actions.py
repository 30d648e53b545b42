"""What operators do: retry, skip, pause, resume, forget."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.models import Event
from events.store import EventStore
from projections import registry
from projections.exceptions import OperationRejected
from projections.models import Operation, ParkedEvent, ProjectionState
from projections.operations import actions, status
from tests.projections.engine.support import fragile
from tests.projections.support import catch_up, notes
from tests.readmodels.models import Step
from tests.readmodels.projections import Fragile, Tally
from tests.support import in_threads, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


def test_retry_stops_at_what_fails_again_and_keeps_what_went_well(store: EventStore, mended: Any) -> None:
    store.dispatch(fragile("a-1", 1), fragile("a-1"), fragile("b-1", 2), fragile("b-1"))
    catch_up("fragile")
    assert actions.retry("fragile", by="x") == (0, 4)
    assert notes() == []
    assert ParkedEvent.objects.get(aggregate_id="a-1", error__gt="").attempts == 4
    mended()
    assert actions.retry("fragile", by="x", aggregate_id="b-1") == (2, 0)
    assert notes() == [("b-1", 1), ("b-1", 2)]
    with pytest.raises(OperationRejected, match="no parked events of aggregate 'b-1'"):
        actions.retry("fragile", by="x", aggregate_id="b-1")


def test_paused_projection_is_left_alone_and_loses_nothing(store: EventStore) -> None:
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    actions.pause("fragile", by="x", reason="maintenance")
    store.dispatch(fragile("a-1"))
    catch_up("fragile")
    assert notes() == [("a-1", 1)]
    found = status.report("fragile")
    assert (found.status, found.status_reason, found.lag_events) == ("paused", "by x: maintenance", 1)
    actions.resume("fragile", by="x")
    catch_up("fragile")
    assert notes() == [("a-1", 1), ("a-1", 2)]
    assert list(Operation.objects.order_by("at").values_list("action", flat=True)) == ["pause", "resume"]


def test_error_that_shows_at_commit_is_found_by_a_retry_too(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Foreign keys are checked at the end of a transaction: without a check for each event, one would spoil all."""

    def refer_to_nothing(self: Fragile, event: Event) -> None:
        if event.aggregate_id == "a-1":
            Step.objects.create(case_id=-1, number=1, activity="")

    monkeypatch.setattr(Fragile, "check", refer_to_nothing)
    store.dispatch(fragile("a-1", 1), fragile("b-1"))
    catch_up("fragile")
    assert ParkedEvent.objects.get().error.startswith("IntegrityError")
    assert actions.retry("fragile", by="x") == (0, 1)
    assert ParkedEvent.objects.get().attempts == 3


def test_retry_and_workers_side_by_side_keep_the_order(store: EventStore, mended: Any) -> None:
    """Without the locks on the shards, a worker could handle a later event between the replayed ones."""
    store.dispatch(*[fragile("a-1", 1 if n == 0 else None) for n in range(200)])
    catch_up("fragile")
    mended()

    def append() -> None:
        for _ in range(100):
            store.dispatch(fragile("a-1"))
            catch_up("fragile")

    def retry() -> None:
        while ParkedEvent.objects.exists():
            actions.retry("fragile", by="x")

    raise_first(in_threads(append, append, retry))
    catch_up("fragile")
    if ParkedEvent.objects.exists():
        actions.retry("fragile", by="x")
    assert [version for _, version in notes()] == list(range(1, 401))


def test_projection_without_code_can_be_forgotten(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    catch_up("tally")
    with pytest.raises(CommandError, match="is still in the code"):
        call_command("forget_projection", "tally")
    registry.unregister(Tally)
    try:
        assert status.report("tally").status == "orphaned"
        call_command("forget_projection", "tally", stdout=io.StringIO())
        assert not ProjectionState.objects.filter(pk="tally").exists()
    finally:
        registry.register(Tally)
