"""Addresses: a missing slash, prefixes and namespaces."""

import json
import re
from types import ModuleType
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit
from uuid import uuid4

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.models import User
from django.test import Client, override_settings
from django.urls import include, path, re_path, set_script_prefix
from drf_spectacular.generators import SchemaGenerator
from rest_framework.renderers import BrowsableAPIRenderer
from rest_framework.test import APIClient

from events.api.views.aggregates import AggregateEvents
from events.formats.cloudevents import BATCH_MEDIA_TYPE
from events.store import EventStore
from tests.events.api.support import history_url, operations
from tests.hosts.walk import a_timer
from tests.support import new, some, stored

pytestmark = pytest.mark.django_db

LOGIN_REQUIRED = "django.contrib.auth.middleware.LoginRequiredMiddleware"


@pytest.mark.parametrize("append_slash", [False, True])
@pytest.mark.parametrize("debug", [False, True])
def test_request_without_the_slash_is_redirected_unchanged(
    api: APIClient, settings: Any, debug: bool, append_slash: bool
) -> None:
    """Not by 301, Django's own way: clients would ask with GET, get a page, and take the event for stored."""
    settings.DEBUG, settings.APPEND_SLASH = debug, append_slash
    for aggregate_id in ("a-1", "a/b", "what?", "a/../b", "x/events"):
        response = api.post(history_url(aggregate_id)[:-1] + "?x=1", {"type": "Happened"}, format="json")
        assert (response.status_code, response.headers["Location"]) == (308, f"{history_url(aggregate_id)}?x=1")
        assert api.post(response.headers["Location"][:-4], {"type": "Happened"}, format="json").status_code == 201
    assert api.get("/api/events", follow=True).json()["events"][0]["aggregate_id"] == "a-1"
    assert api.get("/api/events/none").status_code == 404
    assert len(stored()) == 5


def test_every_address_without_the_slash_is_redirected_for_everybody(settings: Any) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, LOGIN_REQUIRED]
    values = {"aggregate_id": "a-1", "event_id": uuid4(), "name": "some", "slug": "invalid", "command": "x"}
    values |= {"event_type": "A", "timer_id": 1}
    strict = Client(enforce_csrf_checks=True)
    for name, _ in operations():
        address = name.partition(" ")[2].format(**values)
        if address == "/api/":
            continue  # the project's own path
        for method in ("get", "post", "put", "head", "options"):
            response = getattr(strict, method)(f"{address[:-1]}?q=%C3%BC&r=/")
            assert (response.status_code, response.headers["Location"]) == (308, f"{address}?q=%C3%BC&r=/")


def urlconf(*patterns: Any) -> Any:
    module: Any = ModuleType("urls")
    module.urlpatterns = list(patterns)
    return module


EVENTS, PROJECTIONS = "events.api.urls", "projections.api.urls"
# Patterns, the prefixes of the URLs of events, and those of the projections.
INCLUDED: dict[str, tuple[list[Any], list[str], list[str]]] = {
    "at the root": ([path("", include(EVENTS)), path("", include(PROJECTIONS))], ["/"], ["/"]),
    "an argument": (
        [path("v/<str:version>/", include([path("", include(EVENTS)), path("p/", include(PROJECTIONS))]))],
        ["/v/1/"],
        ["/v/1/p/"],
    ),
    "arguments of our names": (
        [path("<str:aggregate_id>/<str:name>/<str:slug>/<str:route>/", include([
            path("", include(EVENTS)), path("", include(PROJECTIONS)),
        ]))],
        ["/events/aggregates/x/y/"],
        ["/events/aggregates/x/y/"],
    ),
    "arguments without names": (
        [re_path(r"^v([0-9]+)/(ü)/", include(EVENTS)), re_path("^w([0-9]+)/", include(PROJECTIONS))],
        ["/v1/%C3%BC/"],
        ["/w1/"],
    ),
    "another namespace": (
        [path("a/", include(EVENTS, namespace="own")), path("b/", include(PROJECTIONS, namespace="more"))],
        ["/a/"],
        ["/b/"],
    ),
    "two namespaces": (
        [path(f"{each}/", include(urls, namespace=each + urls)) for each in "ab" for urls in (EVENTS, PROJECTIONS)],
        ["/a/", "/b/"],
        ["/b/", "/a/"],
    ),
    "nested namespaces": (
        [path("a/", include(([path("", include(EVENTS)), path("", include(PROJECTIONS))], "v1")))],
        ["/a/"],
        ["/a/"],
    ),
    "no namespace": (
        [path("a/", include((__import__(EVENTS, fromlist=["x"]).urlpatterns, None))),
         path("b/", include((__import__(PROJECTIONS, fromlist=["x"]).urlpatterns, None)))],
        ["/a/"],
        ["/b/"],
    ),
    "events alone": ([path("a/", include(EVENTS))], ["/a/"], []),
    "projections alone": ([path("a/", include(PROJECTIONS))], [], ["/a/"]),
    "a language": (
        i18n_patterns(path("a/", include(EVENTS)), path("a/", include(PROJECTIONS))), ["/en/a/"], ["/en/a/"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", INCLUDED)
def test_urls_may_be_included_in_any_way(api: APIClient, admin_user: User, store: EventStore, name: str) -> None:
    api.force_authenticate(admin_user)
    patterns, of_events, of_projections = INCLUDED[name]
    (event, *_) = store.dispatch(*some(3, "a-1"), new("b-1", "Other"))
    values = {"aggregate_id": "a-1", "event_id": event.event_id, "name": "event_type_activity", "slug": "invalid"}
    values |= {"command": "none", "event_type": "None"}
    with override_settings(ROOT_URLCONF=urlconf(*patterns)):
        SchemaGenerator().get_schema(request=None, public=True)
        for method, prefix, own, content in operations_of(of_events, of_projections):
            address = prefix + own.format(**values, timer_id=a_timer() if "timer_id" in own else "")
            has_pages = any(each["name"] == "limit" for each in content.get("parameters", ()))
            follow(api, method, prefix, address, has_pages=has_pages)
            missing_slash = getattr(api, method)(address[:-1]) if own else None
            assert not missing_slash or (missing_slash.status_code, missing_slash.headers["Location"]) == (308, address)


def operations_of(of_events: list[str], of_projections: list[str]) -> Any:
    for name, content in ALL_OPERATIONS:
        method, _, template = name.partition(" ")
        own = template.removeprefix("/api/")
        everywhere = own in ("", "health/live/", "health/ready/") or own.startswith("problems")
        here = {*of_events, *of_projections} if everywhere else of_projections
        for prefix in of_events if not everywhere and own.startswith(("aggregates", "event")) else here:
            yield method, prefix, own, content


ALL_OPERATIONS = operations()


def follow(api: APIClient, method: str, prefix: str, address: str, *, has_pages: bool) -> None:
    """Send a valid and an invalid request, and follow the links in the responses."""
    kind = "application/x-ndjson" if "import" in address else "application/json"
    body = b'{"aggregate_id": "a-1", "type": "A"}'
    sent: Any = {"data": body, "content_type": kind} if method == "post" else {}
    response = getattr(api, method)(address, **sent)
    is_missing = response.status_code == 404 and ("/commands/" in address or address.endswith("/event-types/None/"))
    assert response.status_code in (200, 201, 204, 501) or "health" in address or is_missing, (
        address,
        response.content,
    )
    if method == "get" and has_pages:
        page = api.get(f"{address}?limit=1").json()
        if page["next"]:
            assert urlsplit(page["next"]).path == address
            assert api.get(page["next"]).status_code == 200
    problem = getattr(api, method)(f"{address}?nonsense=1", **sent).json()
    assert problem["type"] == f"{prefix}problems/invalid/"
    assert api.get(problem["type"]).json()["title"] == problem["title"]


def test_script_name_is_part_of_every_link(api: APIClient) -> None:
    where = {"SCRIPT_NAME": "/deep", "PATH_INFO": "/api/events"}
    assert api.get("/", **where).headers["Location"] == "/deep/api/events/"
    where["PATH_INFO"] += "/"
    problem = json.loads(api.get("/?x=1", **where).content)
    assert problem["type"] == "/deep/api/problems/invalid/"
    set_script_prefix("/")


IDS = [
    "a-1",
    "a/../b",
    "../b",
    "a/..",
    "/",
    "//x",
    "/events/",
    "a/events",
    "events",
    "%2F",
    "a?b=1#c",
    "é ü",
    "a;b",
    "😀",
]


@pytest.mark.parametrize("aggregate_id", IDS)
def test_link_to_the_next_page_leads_to_the_same_aggregate(
    api: APIClient, store: EventStore, aggregate_id: str
) -> None:
    store.dispatch(*some(2, aggregate_id))
    address = history_url(aggregate_id)
    for reverse, place in (("false", "after_version=1"), ("true", "up_to_version=1")):
        url = f"http://testserver{address}?limit=1&reverse={reverse}"
        page = api.get(url).json()
        assert page["aggregate_id"] == aggregate_id
        link = urlsplit(urljoin(url, page["next"]))
        assert link.path == address
        assert set(link.query.split("&")) == {"limit=1", f"reverse={reverse}", place}
        last = api.get(urljoin(url, page["next"])).json()
        assert (last["aggregate_id"], len(last["events"]), last["next"]) == (aggregate_id, 1, None)
        batch = api.get(url, headers={"Accept": BATCH_MEDIA_TYPE})
        assert urlsplit(batch.headers["Link"].partition(">")[0].removeprefix("<")).path == address


@pytest.mark.parametrize("aggregate_id", ["a/../b", "what?", "x#y"])
def test_links_of_a_browsable_page_lead_to_the_same_aggregate(
    api: APIClient, client: Client, aggregate_id: str
) -> None:
    address = history_url(aggregate_id)
    for user in (api, client):
        page = user.get(address, headers={"Accept": "text/html"}).content.decode()
        assert f'<a href="{address}">' in page
        assert [unquote(each) for each in re.findall(r"""\?next=([^'"]*)""", page)] == [address]


def test_form_of_a_browsable_page_leads_to_the_same_aggregate(api: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AggregateEvents, "renderer_classes", [BrowsableAPIRenderer])
    page = api.get(history_url("a/../b"), headers={"Accept": "text/html"}).content.decode()
    assert f'action="{history_url("a/../b")}" method="POST"' in page
