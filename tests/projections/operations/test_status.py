"""How projections are: listed by command and over HTTP, with lag and parked events."""

import json
from typing import Any

import pytest
from django.core.management import call_command
from rest_framework.test import APIClient

from events.store import EventStore
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_status_is_listed_by_command_and_over_http(api: APIClient, store: EventStore, capsys: Any) -> None:
    catch_up("tally")
    store.dispatch(new("a-1", "Counted"), new("a-1", "Counted"))
    call_command("list_projections")
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tally "))
    assert line.split()[1:3] + line.split()[4:5] == ["async", "running", "2"]
    call_command("list_projections", json=True)
    by_command = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    by_http = {each["name"]: each for each in api.get("/api/projections/").json()["projections"]}
    assert by_command["tally"]["lag_events"] == by_http["tally"]["lag_events"] == 2
    assert by_http.keys() == by_command.keys() >= {"tally", "aggregate_activity", "orders"}
    assert api.get("/api/projections/tally/").json()["status"] == "running"
    assert api.get("/api/projections/nothing/").status_code == 404
    assert APIClient().get("/api/projections/").status_code == 401


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
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing is parked."
