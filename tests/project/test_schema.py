"""The HTTP interface answers generated requests as its description says."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.test import override_settings
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from playwright.sync_api import Route, expect
from rest_framework.authtoken.models import Token
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from events.store import EventStore
from tests.browser import TOO_WIDE, Browser
from tests.events.api.support import operations
from tests.support import AsgiServer, new, some

# 501 and 503 are answers, and described as such.
FAULTS = {500, 502, 504}


EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))


@schemathesis.serializer("application/x-ndjson")
def ndjson(context: Any, value: Any) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else str(value).encode()


SITE = "https://shop.example"


@pytest.fixture
def on_site(browser: Browser, asgi_server: AsgiServer) -> Browser:
    """A browser that takes the server for a site of its own name: pages may ask other hosts for less on a loopback."""

    def answer(route: Route) -> None:
        address = route.request.url.replace(SITE, asgi_server.url)
        route.fulfill(response=route.fetch(url=address))

    browser(lambda page: page.route(f"{SITE}/**", answer))
    return browser


@pytest.mark.parametrize("path", ["/api/docs/", "/api/redoc/"])
def test_pages_of_the_schema_begin_with_an_introduction_and_ask_no_other_host(on_site: Browser, path: str) -> None:
    on_site(lambda page: page.goto(SITE + path))
    for text in ("This is the HTTP interface", "Get a token", "drf_create_token", "Versions", "Errors"):
        on_site(lambda page, text=text: expect(page.get_by_text(text).first).to_be_visible())
    on_site(lambda page: expect(page.get_by_text("The history of an aggregate").last).to_be_visible())
    on_site(lambda page: expect(page.get_by_text("The timers of reactions: list them").first).to_be_visible())
    on_site(lambda page: page.wait_for_load_state("networkidle"))
    assert on_site.hosts <= {"shop.example", None}
    assert on_site.errors == []


def test_authorize_asks_for_a_token_first(browser: Browser, asgi_server: AsgiServer) -> None:
    browser(lambda page: page.goto(f"{asgi_server.url}/api/docs/"))
    browser(lambda page: page.get_by_role("button", name="Authorize").first.click())
    dialog = browser(lambda page: page.locator(".dialog-ux").inner_text())
    assert 0 < dialog.index("tokenAuth") < dialog.index("cookieAuth")


@pytest.mark.parametrize("width", [400, 1400])
def test_root_is_a_page_to_start_from(browser: Browser, asgi_server: AsgiServer, admin_user: Any, width: int) -> None:
    browser.log_in(admin_user, asgi_server.url)
    browser(lambda page: page.set_viewport_size({"width": width, "height": 900}))
    browser(lambda page: page.goto(f"{asgi_server.url}/api/"))
    assert not browser(lambda page: page.evaluate(TOO_WIDE))
    browser(lambda page: page.get_by_role("link", name="/api/docs/").click())
    browser(lambda page: page.wait_for_url("**/api/docs/"))
    browser(lambda page: page.go_back())
    browser(lambda page: page.get_by_role("link", name="/api/events/").first.click())
    browser(lambda page: expect(page.get_by_role("heading", name="Event List")).to_be_visible())
    browser(lambda page: page.get_by_role("link", name="The event store").click())
    browser(lambda page: expect(page.get_by_role("heading", name="The event store")).to_be_visible())
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


@pytest.fixture(scope="module")
def interface(django_db_setup: None, django_db_blocker: Any) -> Any:
    with django_db_blocker.unblock():
        return schemathesis.openapi.from_wsgi("/api/schema/", get_wsgi_application())


@pytest.fixture
def token(db: None, store: EventStore, admin_user: Any) -> Iterator[str]:
    # As Django's own test client does: the requests share this test's transaction.
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    store.dispatch(*some(3, "order-1"), new("cart-1", metadata={"correlation_id": "c-1"}))
    with override_settings(PROJECTIONS_MAX_WAIT_SECONDS=0.01):  # many ask for positions that there will never be
        yield Token.objects.create(user=admin_user).key
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda each: each.value)
@pytest.mark.parametrize("name", [name for name, _ in operations()])
def test_generated_requests_get_documented_answers(interface: Any, token: str, name: str, mode: GenerationMode) -> None:
    """Requests that fit the description, and such that do not."""
    method, path = name.split(" ")
    operation = interface[path][method.upper()]
    # A schema cannot say all that makes requests acceptable: what two headers mean together, what a line holds, which
    # positions (`at_least`) events have taken.
    is_open = method == "post" or "/read-models/" in path
    excluded = [not_a_server_error, *([positive_data_acceptance] if is_open else [])]
    sent = 0

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate],
    )
    @given(operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        nonlocal sent
        sent += 1
        headers = {"Authorization": f"Token {token}"}
        response = case.call_and_validate(headers=headers, excluded_checks=excluded)
        assert response.status_code not in FAULTS

    try:
        send()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE  # nothing can be wrong with a request that has no parameters
    print(f"{name}: {sent} {mode.value} requests")
