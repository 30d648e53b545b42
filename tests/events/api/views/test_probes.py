"""The probes: liveness without the database, readiness with it."""

import shlex
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from tests.hosts.support import connected_by
from tests.ownproject import ROOT, run, snippets
from tests.support import AsgiServer

LIVE, READY = "/api/health/live/", "/api/health/ready/"
FAILING = {"status": "failing", "failing": ["database"]}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(
    params=[{}, {"ATOMIC_REQUESTS": True}, {"CONN_MAX_AGE": 0, "OPTIONS": {"pool": {"timeout": 1}}}],
    ids=["plain", "atomic requests", "pool"],
)
def no_database(request: pytest.FixtureRequest, transactional_db: None) -> Iterator[None]:
    """A server that no longer answers: nobody listens at the port."""
    with connected_by({**request.param, "HOST": "127.0.0.1", "PORT": "1"}):
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


def of_the_page(start: str) -> str:
    (block,) = [each for each in snippets(ROOT / "docs/http.md", "text") if each.startswith(start)]
    return block


def test_probes_of_kubernetes_as_the_page_has_them(client: Client, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["localhost"]
    probes = yaml.safe_load(of_the_page("livenessProbe:"))
    assert [probes[each]["httpGet"]["path"] for each in ("livenessProbe", "readinessProbe")] == [LIVE, READY]
    for probe in probes.values():
        headers = {each["name"]: each["value"] for each in probe["httpGet"]["httpHeaders"]}
        assert client.get(probe["httpGet"]["path"], headers=headers).status_code == 200
        assert client.get(probe["httpGet"]["path"], headers={"Host": "10.0.0.7"}).status_code == 400


def test_probes_may_be_exempt_from_the_redirect_to_https(client: Client, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(READY).status_code == 301
    (block,) = [each for each in snippets(ROOT / "docs/http.md", "python") if each.startswith("# settings.py: probes")]
    names: dict[str, Any] = {}
    exec(compile(block, "docs/http.md", "exec"), names)  # noqa: S102
    settings.SECURE_REDIRECT_EXEMPT = names["SECURE_REDIRECT_EXEMPT"]
    assert [Client().get(each).status_code for each in (READY, LIVE, "/api/events/")] == [200, 200, 301]


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_command_of_the_unit_waits_until_the_server_is_ready(asgi_server: AsgiServer) -> None:
    command = shlex.split(of_the_page("ExecStartPost=").removeprefix("ExecStartPost="))
    assert command[-1].endswith(READY)
    command[-1] = asgi_server.url + READY
    run("curl", *command[1:])
