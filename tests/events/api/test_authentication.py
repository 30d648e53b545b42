"""Tokens and sessions authenticate; a session needs its CSRF token."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.events.api.support import HISTORY, as_problem
from tests.support import stored

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
