"""Tokens and sessions authenticate; a session needs its CSRF token."""

import sys
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from rest_framework.authentication import BaseAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.api.base import StoreView
from events.store import EventStore
from tests.events.api.support import HISTORY, as_problem
from tests.events.streaming.support import Stream
from tests.support import AsgiServer, new, stored

pytestmark = pytest.mark.django_db


def test_token_and_session_both_authenticate(make_user: Callable[..., User]) -> None:
    user = make_user("events.view_event")
    token = APIClient(headers={"Authorization": f"Token {Token.objects.create(user=user).key}"})
    assert token.get("/api/events/").status_code == 200
    session = APIClient()
    session.login(username=user.username, password="secret")
    assert session.get("/api/events/").status_code == 200


@pytest.mark.parametrize("path", [HISTORY, "/api/events/", "/api/events/import/"])
def test_session_without_csrf_token_is_rejected(make_user: Callable[..., User], path: str) -> None:
    client = APIClient(enforce_csrf_checks=True)
    user = make_user("events.add_event")
    client.login(username=user.username, password="secret")
    kind = "application/x-ndjson" if "import" in path else "application/json"
    as_problem(client.post(path, b'{"aggregate_id": "a-1", "type": "A"}', content_type=kind), 403)
    assert stored() == []


class Holder:
    """The user of a signed token: no Django model, no primary key, and only what the store needs."""

    is_authenticated = True

    def has_perm(self, permission: str) -> bool:
        return permission in held


held = {"events.view_event", "events.add_event"}


class SignedTokens(BaseAuthentication):
    def authenticate(self, request: Any) -> Any:
        return (Holder(), None) if request.headers.get("Authorization") == "Signed" else None


@pytest.fixture
def signed_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StoreView, "authentication_classes", [SignedTokens])


@pytest.mark.usefixtures("signed_tokens")
def test_user_that_is_no_model_reads_and_appends(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.EVENTS_API_THROTTLE_RATES = {"append": "100/min"}
    settings.EVENTS_CATEGORY_PERMISSIONS = ["a"]
    api = APIClient(headers={"Authorization": "Signed"})
    assert api.post(HISTORY, {"type": "A"}, format="json").status_code == 201
    assert len(api.get("/api/events/").json()["events"]) == 1
    monkeypatch.setattr(sys.modules[__name__], "held", {"events.view_event:a"})
    assert api.get(HISTORY).status_code == 200
    assert as_problem(api.get("/api/aggregates/b-1/events/"), 403)


@pytest.mark.usefixtures("signed_tokens")
def test_idempotency_key_needs_an_identity() -> None:
    api = APIClient(headers={"Authorization": "Signed", "Idempotency-Key": "k-1"})
    problem = as_problem(api.post(HISTORY, {"type": "A"}, format="json"), 400)
    assert problem["field"] == "Idempotency-Key"
    assert stored() == []


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("signed_tokens")
def test_user_that_is_no_model_streams_until_the_permission_ends(
    asgi_server: AsgiServer, store: EventStore, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.1
    url = f"{asgi_server.url}/api/events/stream/"
    with httpx.stream("GET", url, headers={"Authorization": "Signed"}, timeout=10) as response:
        stream = Stream(response)
        stream.up_to("caught-up")
        for version in range(1, 4):
            time.sleep(0.15)
            store.dispatch(new("a-1"))
            assert stream.events(1)[0]["version"] == version
        monkeypatch.setattr(sys.modules[__name__], "held", set())
        assert stream.rest()[-1].event == "revoked"
