"""How projections are: listed by command and over HTTP, with lag and parked events."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from events.store import EventStore
from projections import registry
from projections.models import MAX_SILENCE, Heartbeat
from projections.operations import actions, doctor, status
from projections.workers.heartbeat import WorkerHeartbeat
from tests.projections.support import catch_up
from tests.projections.workers.support import worker
from tests.support import Wait, new

pytestmark = pytest.mark.django_db(transaction=True)


def test_status_is_listed_by_command_and_over_http(api: APIClient, store: EventStore, capsys: Any) -> None:
    catch_up("tally")
    store.dispatch(new("a-1", "Counted"), new("a-1", "Counted"))
    call_command("list_projections")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tally "))
    assert line.split()[1:4] + line.split()[5:6] == ["async", "no", "worker", "2"]
    call_command("list_projections", json=True)
    by_command = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    by_http = {each["name"]: each for each in api.get("/api/projections/").json()["projections"]}
    assert by_command["tally"]["lag_events"] == by_http["tally"]["lag_events"] == 2
    assert by_http.keys() == by_command.keys() >= {"tally", "aggregate_activity", "orders"}
    assert api.get("/api/projections/tally/").json()["status"] == "no worker"
    assert api.get("/api/projections/nothing/").status_code == 404
    assert APIClient().get("/api/projections/").status_code == 401


def test_projection_that_no_worker_runs_says_so(api: APIClient, store: EventStore, settings: Any) -> None:
    settings.PROJECTIONS_MAX_LAG_SECONDS = 0.1
    catch_up()  # this worker has ended
    found = status.report("tally")
    assert (found.status, found.status_reason) == ("no worker", "start one: manage.py run_projections")
    assert api.get("/api/health/").status_code == 200  # a new store without workers lags behind nothing
    with worker("tally") as process:
        assert (status.report("tally").status, status.report("fragile").status) == ("running", "no worker")
        assert status.report("aggregate_activity").status == "running"  # INLINE: the append does the work
        process.kill()
        process.wait()
    assert status.report("tally").status == "running"  # the worker may be in a handler
    seen_at = Heartbeat.objects.get().seen_at - MAX_SILENCE
    Heartbeat.objects.update(seen_at=seen_at)
    found = status.report("tally")
    assert (found.status, found.since) == ("no worker", seen_at)
    store.dispatch(new("a-1", "Counted"))
    Wait.until(lambda: api.get("/api/health/").status_code == 503, what="a lag")
    assert "no worker runs it" in status.report("tally").problem()


def test_worker_for_a_rebuild_does_not_run_the_projection(store: EventStore) -> None:
    catch_up()
    actions.ask_for_rebuild("tally", by="test")
    heartbeat = WorkerHeartbeat([registry.get("tally")], rebuilds_only=True)
    found = status.report("tally")
    assert (found.status, "no worker does so" in found.status_reason) == ("rebuilding", True)
    heartbeat.beat("", 0)
    found = status.report("tally")
    assert (found.status, found.status_reason) == ("rebuilding", "requested by test")
    actions.cancel_rebuild("tally", by="test")
    assert status.report("tally").status == "no worker"
    heartbeat.end()


def test_worker_of_some_projections_leaves_the_others_for_the_doctor_to_name(store: EventStore) -> None:
    catch_up()
    (general,) = [each for each in _problems() if "worker" in each]
    assert "no worker has been seen" in general
    heartbeat = WorkerHeartbeat([registry.get("tally")])
    heartbeat.beat("", 0)
    found = [each for each in _problems() if "no worker" in each]
    assert "projection fragile has no worker (start one: manage.py run_projections)" in found
    assert not [each for each in found if "tally" in each.split(" (")[0].split()]
    heartbeat.end()


def _problems() -> list[str]:
    return [each.problem for check in (doctor.projections, doctor.workers) for each in check("default")]
