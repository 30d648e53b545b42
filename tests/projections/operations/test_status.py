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
