"""Projections and parked events over HTTP, and by command."""

from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from events.store import EventStore
from projections import registry
from projections.workers.worker import Until, Worker
from tests.projections.support import catch_up
from tests.readmodels.projections import Fragile
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_parked_events_are_listed(api: APIClient, store: EventStore, capsys: Any) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}), new("a-1", "Fragile"))
    catch_up("fragile")
    parked = api.get("/api/projections/fragile/parked/").json()["parked"]
    assert [(each["error"], each["waits"]) for each in parked] == [("Broken: cannot handle 1", False), ("", True)]
    assert len(api.get("/api/projections/fragile/parked/", {"limit": 1}).json()["parked"]) == 1
    call_command("list_parked", "fragile", details=True)
    out = capsys.readouterr().out
    assert "Fragile of a-1: Broken: cannot handle 1 (3 attempts, 1 waiting behind it)" in out
    assert "Traceback" in out
    call_command("skip_parked", "fragile", str(parked[0]["position"]), reason="nonsense")
    call_command("list_parked")
    assert capsys.readouterr().out.splitlines()[-1] == "No events are parked."


@pytest.mark.usefixtures("running_worker")
def test_retried_events_are_told_from_parked_ones(
    api: APIClient, store: EventStore, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600,))
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}), new("a-1", "Fragile"))
    Worker(registry.named(["fragile"]), until=Until.ONCE).run()
    first, second = api.get("/api/projections/fragile/parked/").json()["parked"]
    assert first["next_attempt_at"] > first["parked_at"]
    assert second["next_attempt_at"] is None
    found = api.get("/api/projections/fragile/").json()
    assert (found["status"], found["retrying"], found["parked"], found["attempts"]) == ("running", 1, 0, 1)
    assert api.get("/api/health/").json()["status"] == "ok"
    call_command("list_parked", "fragile")
    assert "(1 attempts, 1 waiting behind it, retried at " in capsys.readouterr().out
    call_command("list_projections")
    assert "fragile: Broken: cannot handle 1" in capsys.readouterr().out
