"""The admin's pages in a project with two admin sites, and in projects of other languages."""

import re
from difflib import unified_diff
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.postgres.fields import ArrayField
from django.core.checks import Error
from django.test import Client
from django.urls import clear_url_caches
from django.utils import timezone

import events
import projections
from events.store import EventStore
from projections.models import Heartbeat, ParkedEvent, ProjectionState
from projections.operations import actions
from tests import FULL
from tests.crawl import Page, crawl
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)

LANGUAGES = ["de", "fr", "ar"] if FULL else ["de"]


@pytest.fixture
def stored(store: EventStore) -> None:
    flow = {"correlation_id": "flow", "actor": "customer-7"}
    cause, *_ = store.dispatch(*[new("order-1", "Changed", data={"n": n}, metadata=flow) for n in range(1, 1501)])
    store.dispatch(
        new("cart-1", "Fragile", data={"poison": 1234}, metadata={**flow, "causation_id": str(cause.event_id)}),
        new("cart-1", "Fragile"),
    )
    catch_up("fragile")
    actions.pause("tally", by="user0", reason="1,234 reasons")
    Heartbeat.objects.create(id=uuid4(), host="h", pid=12345, started_at=timezone.now(), seen_at=timezone.now())
    ParkedEvent.objects.all().update(attempts=1234)


def pages_of(client: Client, start: str) -> list[Page]:
    def get(url: str) -> tuple[int, str]:
        response = client.get(url)
        return response.status_code, response.getvalue().decode()  # an export is streamed

    pages = list(crawl(get, start))
    assert len(pages) > 40, [page.url for page in pages]
    return pages


def test_second_site_is_never_left(settings: Any, stored: None, admin_client: Client) -> None:
    settings.ROOT_URLCONF = "tests.project.two_sites"
    clear_url_caches()
    pages = pages_of(admin_client, "/other/")
    assert [page.url for page in pages if page.status != 200] == []
    # The recent actions of Django's index lead to the default site, whichever it is; here there are none.
    assert [(page.url, each) for page in pages for each in page.addresses if each.startswith("/admin/")] == []


def test_forms_come_back_to_their_site(settings: Any, stored: None, admin_client: Client) -> None:
    settings.ROOT_URLCONF = "tests.project.two_sites"
    clear_url_caches()
    event = {"aggregate_id": "order-2", "type": "Placed", "expected_version": 0, "event_id": uuid4()}
    board = "/other/projections/projectionstate/"
    for address, data in (
        ("/other/events/event/add/", event),
        (board, {"action": "resume", "_selected_action": "tally"}),
        (board, {"action": "pause", "_selected_action": "gone"}),
    ):
        response = admin_client.post(address, data)
        assert (response.status_code, response.headers["Location"].startswith("/other/")) == (302, True), address
    for gone in ("events/event/999999/change/", "events/aggregate/x/change/", "projections/parkedevent/999/change/"):
        assert admin_client.get(f"/other/{gone}").headers["Location"].startswith("/other/"), gone


@pytest.mark.parametrize("language", LANGUAGES)
def test_content_does_not_depend_on_the_language(
    settings: Any, stored: None, admin_client: Client, language: str
) -> None:
    settings.USE_THOUSAND_SEPARATOR = True
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.locale.LocaleMiddleware"]
    faults, compared = [], 0

    def page_in(language: str, url: str) -> Page:
        admin_client.cookies["django_language"] = language
        return Page(url, 200, admin_client.get(url).getvalue().decode())

    admin_client.cookies["django_language"] = language
    for url in [page.url for page in pages_of(admin_client, "/admin/")]:
        for _ in range(3):  # once more if a minute has begun in between
            page, english = page_in(language, url), page_in("en", url)
            if page.own == english.own:
                break
        faults += page.localized()
        faults += [f"{url}: {line}" for line in unified_diff(english.own.split("\n"), page.own.split("\n"), n=0)]
        compared += bool(english.own)
    assert "\n".join(faults) == ""
    assert compared > 25


def test_filters_can_stand_inside_a_form(stored: None, admin_client: Client) -> None:
    """Some themes have the filters inside the form of the search, which a form in it would end."""
    html = admin_client.get("/admin/events/event/?correlation_id=flow&type=Changed").getvalue().decode()
    filters = "".join(re.findall(r"<details data-filter-title.*?</details>", html, re.DOTALL))
    fields = re.findall(r"<input [^>]*>", filters)
    assert len(fields) > 4
    assert "<form" not in filters
    assert {form for field in fields for form in re.findall(r' form="(.*?)"|$', field)[:1]} == set(
        re.findall(r'<form method="get" id="(filter-.*?)"></form>', html)
    )


def test_every_colour_has_a_value_under_other_themes() -> None:
    sheets = [
        path.read_text() for app in (events, projections) for path in Path(app.__path__[0]).glob("static/*/*.css")
    ]
    used, known = (
        {name for sheet in sheets for name in re.findall(pattern, sheet, re.MULTILINE)}
        for pattern in (r"var\((--[\w-]+)\)", r"(?:^|[;{])\s*(--[\w-]+):")
    )
    assert used - known == set()


def test_field_of_types_needs_no_app_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Django 6 asks every project with an array field for `django.contrib.postgres`."""
    asked = Error("'django.contrib.postgres' must be in INSTALLED_APPS", id="postgres.E005")
    monkeypatch.setattr(ArrayField, "check", lambda self, **kwargs: [asked])
    assert ProjectionState.check() == []
