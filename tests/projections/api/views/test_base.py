"""Reads of a read model that wait for a position."""

import time

import pytest
from django.db import connection
from django.test import override_settings
from rest_framework.test import APIClient

from events.store import EventStore
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


@pytest.mark.parametrize("path", ["event-type-activity/", "aggregate-activity/", "daily-activity/"])
def test_position_that_was_never_given_out_is_an_error_at_once(api: APIClient, store: EventStore, path: str) -> None:
    (event,) = store.dispatch(new())
    with connection.cursor() as cursor:
        cursor.execute("SELECT setval('events_event_position_seq', %s)", [event.position + 5])
    started = time.monotonic()
    for position, status in ((2**63 - 1, 400), (event.position + 6, 400)):
        response = api.get(f"/api/read-models/{path}", {"at_least": position})
        assert (response.status_code, response.json()["field"]) == (status, "at_least")
    assert api.options(f"/api/read-models/{path}", QUERY_STRING=f"at_least={event.position + 5}").status_code == 200
    assert time.monotonic() - started < 2
