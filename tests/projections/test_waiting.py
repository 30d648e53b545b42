"""Reading your own writes, and how projections say how they are."""

import json
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from projections.exceptions import NotCaughtUp, UnknownProjection
from projections.models import EventTypeActivity
from projections.operations import actions, status
from projections.testing import run_until_caught_up
from projections.waiting import await_for, wait_for
from tests.projections.support import catch_up, tally
from tests.support import Background, Wait, new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


def test_wait_returns_once_the_projection_is_there(store: EventStore) -> None:
    catch_up("tally")
    (event,) = store.dispatch(new("a-1", "Counted"))
    with Background(lambda: wait_for("tally", event.position, 20)) as waiting:
        catch_up("tally")
        Wait.until(lambda: waiting.result)
    assert waiting.result >= event.position
    assert tally()["all"] == 1


def test_wait_that_takes_too_long_says_how_far_it_is(store: EventStore) -> None:
    catch_up("tally")
    *_, last = store.dispatch(*[new("a-1", "Counted") for _ in range(3)])
    actions.pause("tally", by="x")
    with pytest.raises(NotCaughtUp, match=r"3 events before \d+; its status is paused") as caught:
        wait_for("tally", last.position, 0.05)
    assert caught.value.lag_events == 3
    with pytest.raises(UnknownProjection):
        wait_for("nothing", 1)


def test_inline_projection_is_there_at_once_though_another_writer_holds_the_settled_position(store: EventStore) -> None:
    with open_append(store, new("b-1")):
        (event,) = store.dispatch(new("a-1"))
        assert store.settled_position() < event.position
        assert wait_for("aggregate_activity", event.position, 0) == event.position


def test_wait_from_a_coroutine() -> None:
    assert async_to_sync(await_for)("aggregate_activity", 0, 1) >= 0


def test_read_over_http_waits_for_a_position_and_names_the_lag(api: APIClient, store: EventStore) -> None:
    catch_up("event_type_activity")
    body = {"type": "Opened"}
    position = api.post("/api/aggregates/a-1/events/", body, format="json").json()["position"]
    path = "/api/read-models/event-type-activity/"
    with override_settings(PROJECTIONS_MAX_WAIT_SECONDS=0.05):
        answer = api.get(path, {"at_least": position})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert {
        "type": "/api/problems/not-caught-up/",
        "projection": "event_type_activity",
        "lag_events": 1,
    }.items() <= answer.json().items()
    catch_up("event_type_activity")
    answer = api.get(path, {"at_least": position})
    assert answer.json()["activity"][0]["event_count"] == 1
    assert api.get(path, {"at_least": "soon"}).status_code == 400
    assert api.get("/api/read-models/aggregate-activity/a-1/", {"at_least": position}).json()["event_count"] == 1


def test_shipped_projections_count_by_type_and_by_day(api: APIClient, store: EventStore) -> None:
    day = timezone.datetime(2030, 1, 31, 23, 30, tzinfo=timezone.get_fixed_timezone(-60))
    store.dispatch(new("user-1", "Born", timestamp=day), new("user-2", "Born"), new("x", "Died", timestamp=day))
    catch_up("event_type_activity", "daily_activity")
    store.dispatch(new("user-1", "Died", timestamp=day))
    catch_up("event_type_activity", "daily_activity")
    rows = api.get("/api/read-models/event-type-activity/").json()["activity"]
    assert [(row["type"], row["event_count"]) for row in rows] == [("Born", 2), ("Died", 2)]
    died = EventTypeActivity.objects.get(type="Died")
    positions = Event.objects.filter(type="Died").order_by("position").values_list("position", flat=True)
    assert (died.first_position, died.last_position) == tuple(positions)
    page = api.get("/api/read-models/daily-activity/", {"days": 1}).json()
    assert [(row["day"], row["category"], row["event_count"]) for row in page["activity"]] == [
        ("2030-02-01", "user", 2),
        ("2030-02-01", "x", 1),
    ]
    assert [row["event_count"] for row in api.get(page["next"]).json()["activity"]] == [1]
    assert len(api.get("/api/read-models/daily-activity/", {"category": "x"}).json()["activity"]) == 1
    assert api.get("/api/read-models/daily-activity/", {"before": "tomorrow"}).status_code == 400
    assert api.get(api.get("/api/read-models/event-type-activity/", {"limit": 1}).json()["next"]).status_code == 200


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
    assert capsys.readouterr().out.splitlines()[-1] == "No events are parked."


def test_health_fails_for_a_projection_that_lags_or_has_stopped(api: APIClient, store: EventStore) -> None:
    anybody = APIClient()
    run_until_caught_up()
    assert anybody.get("/api/health/").json() == {"status": "ok", "failing": []}
    store.dispatch(new("a-1", "Counted"))
    assert anybody.get("/api/health/").status_code == 200
    with override_settings(PROJECTIONS_MAX_LAG_SECONDS=0):
        answer = anybody.get("/api/health/")
        assert answer.status_code == 503
        assert "tally" in answer.json()["failing"]
        assert "reasons" not in answer.json()
        assert "the limit is 0 s" in api.get("/api/health/").json()["reasons"]["tally"]
    run_until_caught_up()
    with override_settings(PROJECTIONS_MAX_LAG_SECONDS=0):
        assert anybody.get("/api/health/").status_code == 200


def test_open_append_holds_readers_back_and_shows_as_lag(store: EventStore) -> None:
    """Case of a writer that never ends: nothing is missed, and somebody gets to know."""
    catch_up("tally")
    before = status.report("tally").position

    with open_append(store, new("b-1", "Counted")):
        store.dispatch(new("a-1", "Counted"))
        catch_up("tally")
        found = status.report("tally")
        assert found.position <= before + 1
        assert found.lag_seconds > 0
    catch_up("tally")
    assert tally()["all"] == 2
