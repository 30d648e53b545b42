"""Every list of the admin only reads, takes its permission, and never counts to the end."""

from collections.abc import Callable

import pytest
from django.contrib.admin.utils import quote as admin_quote
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from events.admin.browsing import BoundedPaginator
from events.models import Event
from events.store import EventStore
from tests.events.support import ADD, EVENTS, PERMISSIONS, page
from tests.support import new

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "url",
    [
        "/admin/events/event/?type=%00",
        "/admin/events/event/?category=a%00b&q=%00",
        "/admin/events/aggregate/?category=%00",
        "/admin/events/aggregate/a%00b/change/",
        "/admin/events/aggregate/a%00b/history/",
        "/admin/events/event/a%00b/change/",
        "/admin/events/event/add/?aggregate_id=a%00b",
    ],
)
def test_nul_characters_do_no_harm(staff: Client, url: str) -> None:
    assert staff.get(url, follow=True).status_code in (200, 400)


def test_nothing_can_be_changed_or_deleted(staff: Client, store: EventStore, make_user: Callable[..., User]) -> None:
    (event,) = store.dispatch(new())
    staff.force_login(make_user(is_staff=True, is_superuser=True))
    before = Event.objects.values().get()
    for url in (f"/admin/events/event/{event.position}", f"/admin/events/aggregate/{admin_quote('a-1')}"):
        assert staff.post(f"{url}/delete/", {"post": "yes"}).status_code == 403
        staff.post(f"{url}/change/", {"type": "x", "version": 7})
    staff.post(EVENTS, {"action": "delete_selected", "_selected_action": event.position})
    assert Event.objects.values().get() == before


@pytest.mark.parametrize(
    ("permission", "url"),
    [
        ("events.view_event", EVENTS),
        ("events.view_aggregate", "/admin/events/aggregate/"),
        ("events.add_event", ADD),
        ("projections.view_aggregateactivity", "/admin/projections/aggregateactivity/"),
    ],
)
def test_each_page_takes_its_permission(
    store: EventStore, make_user: Callable[..., User], permission: str, url: str
) -> None:
    store.dispatch(new())
    client = Client()
    client.force_login(make_user(*(set(PERMISSIONS) - {permission}), is_staff=True))
    assert client.get(url).status_code == 403
    client.force_login(make_user(permission, is_staff=True))
    assert client.get(url).status_code == 200


def test_lists_never_count_to_the_end(staff: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedPaginator, "max_rows", 100)
    store.dispatch(*[new(f"a-{n}") for n in range(150)])
    with CaptureQueriesContext(connection) as queries:
        html = page(staff, "/admin/events/aggregate/")
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and "events_" in query["sql"]]
    assert counts
    assert all("LIMIT 101" in count for count in counts)
    assert "the first 100 aggregates; filter or search" in html
    assert "2</a>" in html
