"""Reads of a read model that wait for a position."""

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from events.store import EventStore
from tests.projections.support import catch_up

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
