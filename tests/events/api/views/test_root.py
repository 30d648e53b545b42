"""The root: the addresses that a user may use, wherever a project includes them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView
from rest_framework.permissions import IsAdminUser
from rest_framework.test import APIClient

from projections import registry
from projections.projections import DailyActivityProjection
from tests.events.api.support import operations
from tests.events.api.test_addresses import EVENTS, INCLUDED, PROJECTIONS, urlconf

pytestmark = pytest.mark.django_db

OPEN = {"", "health/", "health/live/", "health/ready/", "problems/{slug}/"}


def operations_at(client: Any, root: str = "/api/") -> dict[str, set[str]]:
    """Return the methods of each address below a root, by what follows the root."""
    answer = client.get(root)
    assert answer.status_code == 200, answer.content
    content = answer.json()
    found = {each["address"].removeprefix(f"http://testserver{root}"): each for each in content["addresses"]}
    found |= {each["template"].removeprefix(root): each for each in content["templates"]}
    return {address: set(each["operations"]) for address, each in found.items()}


@pytest.fixture
def as_user(make_user: Callable[..., User]) -> Callable[..., APIClient]:
    def make(*permissions: str, **options: Any) -> APIClient:
        client = APIClient()
        client.force_authenticate(make_user(*permissions, **options))
        return client

    return make


def test_superuser_sees_every_operation_of_the_description(as_user: Callable[..., APIClient]) -> None:
    described: dict[str, set[str]] = {}
    for name, _ in operations():
        method, _, address = name.partition(" ")
        own = address.removeprefix("/api/")
        if "/commands/" in own:
            own = "aggregates/{aggregate_id}/commands/{command}/"
        described.setdefault(own, set()).add(method.upper())
    del described[""]
    assert operations_at(as_user(is_superuser=True)) == described


@pytest.mark.parametrize(
    ("permissions", "seen", "unseen"),
    [
        ([], {}, ("events/", "aggregates/", "projections/", "aggregates/{aggregate_id}/commands/{command}/")),
        (["events.add_event"], {"events/": {"POST"}, "events/import/": {"POST"}}, ("events/stream/", "aggregates/")),
        (["events.view_event"], {"events/": {"GET"}, "events/stream/": {"GET"}}, ("events/import/", "projections/")),
        (["projections.view_timer"], {"timers/": {"GET"}}, ("timers/{timer_id}/", "projections/")),
    ],
    ids=["nothing", "append", "read", "timers"],
)
def test_users_see_what_their_permissions_allow(
    as_user: Callable[..., APIClient], permissions: list[str], seen: dict[str, set[str]], unseen: tuple[str, ...]
) -> None:
    found = operations_at(as_user(*permissions))
    assert found.keys() >= OPEN - {""}
    assert found.items() >= seen.items()
    assert not found.keys() & set(unseen)


def test_users_of_one_category_see_what_they_may_read(
    category_permissions: None, as_user: Callable[..., APIClient]
) -> None:
    found = operations_at(as_user("events.view_event:order"))
    assert found["events/"] == {"GET"}
    assert "event-types/" not in found


def test_anybody_sees_what_is_open(client: Client) -> None:
    assert operations_at(client).keys() == OPEN - {""}


def test_closed_appends_are_not_listed(as_user: Callable[..., APIClient], settings: Any) -> None:
    client = as_user(is_superuser=True)
    settings.EVENTS_APPEND_OVER_HTTP = "typed"
    found = operations_at(client)
    assert (found["events/"], "events/import/" in found) == ({"GET", "POST"}, False)
    settings.EVENTS_APPEND_OVER_HTTP = "none"
    found = operations_at(client)
    assert found["events/"] == found["aggregates/{aggregate_id}/events/"] == {"GET"}


def test_read_models_that_are_not_enabled_are_not_listed(as_user: Callable[..., APIClient]) -> None:
    client = as_user(is_superuser=True)
    registry.unregister(DailyActivityProjection)
    try:
        found = operations_at(client)
    finally:
        registry.register(DailyActivityProjection)
    assert "read-models/daily-activity/" not in found
    assert "read-models/event-type-activity/" in found


@pytest.mark.parametrize("name", INCLUDED)
def test_addresses_are_right_wherever_the_urls_are_included(as_user: Callable[..., APIClient], name: str) -> None:
    patterns, of_events, of_projections = INCLUDED[name]
    client = as_user(is_superuser=True)
    with override_settings(ROOT_URLCONF=urlconf(*patterns)):
        for prefix in {*of_events, *of_projections}:
            found = operations_at(client, prefix)
            assert ("events/" in found) == (prefix in of_events)
            assert ("projections/" in found) == (prefix in of_projections)
            for address, methods in found.items():
                if "GET" in methods and "{" not in address:
                    assert client.get(prefix + address).status_code in (200, 501, 503), address


def test_own_pages_and_other_prefixes_are_left_out(as_user: Callable[..., APIClient]) -> None:
    def page(request: Any) -> Any:
        raise AssertionError

    urls = urlconf(path("a/", include(EVENTS)), path("a/own/", page), path("b/", include(PROJECTIONS)))
    with override_settings(ROOT_URLCONF=urls):
        found = operations_at(as_user(is_superuser=True), "/a/")
    assert "own/" not in found
    assert "projections/" not in found


def test_descriptions_are_those_that_the_project_serves_to_the_user(as_user: Callable[..., APIClient]) -> None:
    client, site = as_user(), "http://testserver"
    assert client.get("/api/").json()["descriptions"] == {
        "schema": f"{site}/api/schema/",
        "docs": f"{site}/api/docs/",
        "redoc": f"{site}/api/redoc/",
    }
    schema = SpectacularAPIView.as_view(permission_classes=[IsAdminUser])
    urls = urlconf(path("x/<str:version>/", include([path("a/", include(EVENTS)), path("schema/", schema)])))
    with override_settings(ROOT_URLCONF=urls):
        assert client.get("/x/1/a/").json()["descriptions"] == {}
        staff = as_user(is_staff=True).get("/x/1/a/").json()
    assert staff["descriptions"] == {"schema": f"{site}/x/1/schema/"}


def test_browsable_page_links_the_addresses(client: Client, admin_user: User) -> None:
    client.force_login(admin_user)
    page = client.get("/api/", headers={"Accept": "text/html"}).content.decode()
    assert "<h1>The event store</h1>" in page
    assert '<a href="http://testserver/api/events/" rel="nofollow">' in page
    assert "/api/aggregates/{aggregate_id}/events/" in page


def test_parameters_are_rejected(api: APIClient) -> None:
    assert api.get("/api/?x=1").json()["field"] == "x"
