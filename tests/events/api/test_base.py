"""What all views have in common: wrong methods and headers are named, and no request changes stored events."""

import pytest
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from tests.events.api.support import history_url
from tests.support import new

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        ("POST", "QUERY_STRING", "x=1"),
        ("PUT", "QUERY_STRING", "x=1"),
        ("DELETE", "HTTP_CONTENT_ENCODING", "gzip"),
        ("POST", "HTTP_TRANSFER_ENCODING", "chunked"),
        ("PATCH", "HTTP_LAST_EVENT_ID", "x" * 2000),
    ],
)
def test_wrong_method_is_named_whatever_else_is_wrong(api: APIClient, method: str, name: str, value: str) -> None:
    for path in ("aggregates/", "events/export/", "events/stream/", "health/", "projections/", "problems/invalid/"):
        response = api.generic(method, f"/api/{path}", **{name: value})
        assert (response.status_code, response.headers["Allow"]) == (405, "GET, HEAD, OPTIONS"), path
    assert api.get("/api/events/import/?x=1").status_code == 405


@pytest.mark.parametrize("coding", ["", "Identity"])
def test_body_without_compression_may_say_so(api: APIClient, coding: str) -> None:
    response = api.post(history_url("a-1"), {"type": "A"}, format="json", headers={"Content-Encoding": coding})
    assert response.status_code == 201


def test_no_method_changes_what_is_stored(api: APIClient, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    for path in (history_url("a-1"), "/api/aggregates/a-1/", f"/api/events/{event.event_id}/", "/api/events/"):
        for method in (api.put, api.patch, api.delete):
            assert method(path, {}, format="json").status_code in (403, 405)
    assert Event.objects.get() == event
