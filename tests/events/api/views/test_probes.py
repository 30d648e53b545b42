"""The probes: liveness without the database, readiness with it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.hosts.support import connected_by

LIVE, READY = "/api/health/live/", "/api/health/ready/"
FAILING = {"status": "failing", "failing": ["database"]}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(params=[False, True], ids=["plain", "atomic requests"])
def no_database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    """A server that no longer answers: nobody listens at the port."""
    with connected_by({"ATOMIC_REQUESTS": request.param, "HOST": "127.0.0.1", "PORT": "1"}):
        yield


def test_alive_and_ready(client: Client) -> None:
    assert (client.get(LIVE).status_code, client.get(LIVE).json()) == (200, {"status": "ok"})
    assert (client.get(READY).status_code, client.get(READY).json()) == (200, {"status": "ok", "failing": []})
    assert client.head(LIVE).status_code == client.head(READY).status_code == 200


def test_liveness_costs_no_query_whoever_asks(admin_user: User, django_assert_num_queries: Any, settings: Any) -> None:
    token = Token.objects.create(user=admin_user).key
    client = Client()
    client.force_login(admin_user)
    settings.EVENTS_API_THROTTLE_RATES = {"read": "1/h"}
    for _ in range(3):
        with django_assert_num_queries(0):
            assert client.get(LIVE, headers={"Authorization": f"Token {token}"}).status_code == 200
            assert APIClient().get(LIVE, headers={"Authorization": "Token wrong"}).status_code == 200


def test_readiness_costs_one_query(client: Client, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        assert client.get(READY).status_code == 200


@pytest.mark.usefixtures("no_database")
def test_process_without_a_database_is_alive_and_not_ready(client: Client) -> None:
    assert client.get(LIVE).status_code == 200
    for _ in range(2):
        answer = client.get(READY)
        assert (answer.status_code, answer.json()) == (503, FAILING)
    answer = client.get("/api/health/")
    assert (answer.status_code, answer.json()) == (503, FAILING)


def test_process_before_migrate_is_not_ready(client: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER SEQUENCE events_event_position_seq RENAME TO elsewhere")
    try:
        assert client.get(READY).status_code == 503
        assert client.get(LIVE).status_code == 200
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER SEQUENCE elsewhere RENAME TO events_event_position_seq")
    assert client.get(READY).status_code == 200
