"""Projections and read models over HTTP."""

import pytest
from django.test import override_settings
from django.utils import timezone
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from projections.models import EventTypeActivity
from projections.testing import run_until_caught_up
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


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
