"""The catalogue as a page of the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings

from events.domain import DomainEvent
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db

PATH = "/admin/events/event/types/"


def define() -> None:
    class OrderPlaced(DomainEvent, renamed_from=["OrderSubmitted"]):
        """A customer has placed <an> order."""

        customer: str


def test_page_shows_the_types_with_links(admin_client: Client, store: EventStore) -> None:
    store.dispatch(new("order-1", "OrderSubmitted", data={"customer": "ann"}), new("order-1", "Odd"))
    assert "No class is registered" in admin_client.get(PATH).content.decode()
    define()
    page = admin_client.get(PATH).content.decode()
    assert "A customer has placed &lt;an&gt; order." in page
    assert '<a href="/admin/events/event/?type=OrderPlaced">1</a>' in page
    assert '<a href="/admin/events/event/?type=Odd">Odd</a></dt><dd>1</dd>' in page
    assert '<a href="/admin/projections/projectionstate/' in page
    assert f'<a href="{PATH}">Event types</a>' in admin_client.get("/admin/events/event/").content.decode()


def test_links_stay_in_another_site(admin_client: Client) -> None:
    define()
    with override_settings(ROOT_URLCONF="tests.project.two_sites"):
        page = admin_client.get(PATH.replace("/admin/", "/other/")).content.decode()
        assert '<a href="/other/events/event/?type=OrderPlaced">0</a>' in page
        assert "/admin/events/" not in page


def test_only_users_who_may_read_all_events_see_it(
    client: Client, make_user: Callable[..., User], category_permissions: None
) -> None:
    define()
    client.force_login(make_user("events.view_event", is_staff=True))
    page = client.get(PATH).content.decode()
    assert "OrderPlaced" in page
    assert "/admin/projections/projectionstate/" not in page
    client.force_login(make_user("events.view_event:order", is_staff=True))
    assert client.get(PATH).status_code == 403
    assert PATH not in client.get("/admin/events/event/").content.decode()
    client.logout()
    assert client.get(PATH).status_code == 302
