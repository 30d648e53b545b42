"""Rebuilds are asked for, begun, cancelled and taken over."""

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.store import EventStore
from projections import registry
from projections.engine import runner
from projections.exceptions import OperationRejected
from projections.models import Checkpoint, Rebuild
from projections.operations import actions, status
from projections.rebuild import preparation, shadow_tables
from tests.projections.support import catch_up, instance, tally
from tests.readmodels.projections import Tally
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("running_worker")
def test_new_version_asks_for_a_rebuild_and_old_rows_are_served(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    assert tally() == {"all": 1, "a-1": 1}, "the new code leaves the old rows alone"
    found = status.report("tally")
    assert (found.status, found.version, found.rows_version, found.lag_events) == ("outdated", 2, 1, 1)
    actions.ask_for_rebuild("tally", by="x")
    assert status.report("tally").status == "rebuilding"
    catch_up("tally")
    assert tally() == {"all": 2, "a-1": 2}
    found = status.report("tally")
    assert (found.status, found.rows_version) == ("running", 2)


def test_cancelled_rebuild_leaves_nothing(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n % 5}", "Counted") for n in range(60)])
    catch_up("tally")
    before = tally()
    actions.ask_for_rebuild("tally", by="x")
    (checkpoint,) = preparation.prepare(instance(Tally))
    runner.run_pass(instance(Tally), checkpoint.pk, store.settled_position())
    with pytest.raises(OperationRejected, match="--cancel"):
        actions.ask_for_rebuild("tally", by="x", in_place=True)
    call_command("rebuild_projection", "tally", cancel=True, stdout=io.StringIO())
    with pytest.raises(OperationRejected, match="No rebuild"):
        actions.cancel_rebuild("tally", by="x")
    assert not Checkpoint.objects.of_rebuild().exists()
    assert not shadow_tables.fits(instance(Tally))
    actions.ask_for_rebuild("tally", by="x", in_place=True)
    catch_up("tally")
    assert tally() == before


@pytest.mark.parametrize("name", ["aggregate_activity", "tally"])
def test_rebuild_in_place_can_be_cancelled_until_it_begins(store: EventStore, name: str) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up(name)
    actions.ask_for_rebuild(name, by="x", in_place=True)
    actions.cancel_rebuild(name, by="x")
    assert not Rebuild.objects.exists()
    actions.ask_for_rebuild(name, by="x", in_place=True)
    preparation.prepare(registry.get(name))
    with pytest.raises(OperationRejected, match="incomplete"):
        actions.cancel_rebuild(name, by="x")
    catch_up(name)
    assert not Rebuild.objects.exists()


@pytest.mark.usefixtures("running_worker")
def test_rebuild_that_cannot_begin_stops_alone_and_says_why(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def reject(projection: Any) -> None:
        raise OperationRejected("no schema for you")

    store.dispatch(new("a-1", "Counted"))
    actions.ask_for_rebuild("sharded_tally", by="x")
    with monkeypatch.context() as rejecting:
        rejecting.setattr(shadow_tables, "create", reject)
        catch_up("sharded_tally", "tally")
        assert tally()["all"] == 1, "others go on"
        found = status.report("sharded_tally")
        assert (found.status, "no schema for you" in found.status_reason) == ("stopped", True)
        with pytest.raises(CommandError, match="no schema for you"):
            call_command("rebuild_projection", "sharded_tally", yes=True)
    call_command("rebuild_projection", "sharded_tally", yes=True, stdout=io.StringIO())
    assert status.report("sharded_tally").status == "running"


@pytest.mark.usefixtures("running_worker")
def test_code_that_went_back_takes_the_rebuild_over(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    monkeypatch.setattr(Tally, "version", 2)
    actions.ask_for_rebuild("tally", by="x")
    preparation.prepare(instance(Tally))
    monkeypatch.setattr(Tally, "version", 1)
    actions.ask_for_rebuild("tally", by="x")
    catch_up("tally")
    assert status.report("tally").status == "running"
    assert tally() == {"all": 1, "a-1": 1}
