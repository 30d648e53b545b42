"""Requests without the closing slash."""

from typing import Any
from urllib.parse import unquote

import pytest
from rest_framework.test import APIClient

from tests.events.api.support import history_url
from tests.support import stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("debug", [False, True])
def test_request_without_the_slash_is_redirected_unchanged(api: APIClient, settings: Any, debug: bool) -> None:
    """Not by 301, Django's own way: clients would ask with GET, get a page, and take the event for stored."""
    settings.DEBUG = debug
    for aggregate_id in ("a-1", "a/b", "what?"):
        answer = api.post(history_url(aggregate_id)[:-1] + "?x=1", {"type": "Happened"}, format="json")
        assert (answer.status_code, unquote(answer.headers["Location"])) == (
            308,
            f"/api/aggregates/{aggregate_id}/events/?x=1",
        )
        assert api.post(answer.headers["Location"][:-4], {"type": "Happened"}, format="json").status_code == 201
    assert api.get("/api/events", follow=True).json()["events"][0]["aggregate_id"] == "a-1"
    assert api.get("/api/events/none").status_code == 404
    assert len(stored()) == 3
