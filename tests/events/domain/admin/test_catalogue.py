"""The catalogue as a page of the admin."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from django.contrib.auth.models import User
from django.test import Client, override_settings
from msgspec import Meta

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
    assert "There are no event types yet" in admin_client.get(PATH).content.decode()
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


ADD = "/admin/events/event/add/"


def define_paid() -> None:
    class OrderPaid(DomainEvent):
        method: str
        times: Annotated[int, Meta(ge=1)] = 1


def form_of(client: Client, **changes: str) -> dict[str, str]:
    """Return what a browser sends from the form with the fields of OrderPaid."""
    context: Any = client.get(f"{ADD}?aggregate_id=order-1&type=OrderPaid").context
    hidden = {name: str(context["form"][name].value()) for name in ("expected_version", "event_id")}
    fields = {"aggregate_id": "order-1", "type": "OrderPaid", "fields_of": "OrderPaid", "data": "{}", "metadata": "{}"}
    return {**hidden, **fields, "data-method": "card", "data-times": "2", **changes}


def test_form_has_the_fields_of_a_type_and_appends_their_values(admin_client: Client, store: EventStore) -> None:
    define_paid()
    assert 'name="data-method"' not in admin_client.get(ADD).content.decode()
    form = form_of(admin_client)
    asked = {**form, "fields_of": "", "show_fields": "1", "data": '{"method": "cash"}', "timestamp_0": "2030-01-31"}
    assert 'id="show-fields"' in admin_client.get(ADD).content.decode()
    page = admin_client.post(ADD, asked).content.decode()
    assert 'name="data-method" value="cash"' in page
    assert 'value="2030-01-31"' in page
    assert form["event_id"] in page
    assert admin_client.post(ADD, form).status_code == 302
    (event,) = store.get_events_for_aggregate("order-1")
    assert (event.type, event.data) == ("OrderPaid", {"method": "card", "times": 2})


def test_fields_that_are_shown_again_keep_what_was_entered(admin_client: Client, store: EventStore) -> None:
    define_paid()
    asked = form_of(admin_client, show_fields="1", **{"data-method": "cash", "data-times": "many"})
    page = admin_client.post(ADD, asked).content.decode()
    assert 'name="data-method" value="cash"' in page
    assert 'name="data-times" value="many"' in page
    assert 'role="alert"' not in page
    assert [*store.read_all()] == []


def test_another_type_gets_its_own_fields(admin_client: Client, store: EventStore) -> None:
    define_paid()

    class OrderDeclined(DomainEvent):
        reason: str

    page = admin_client.post(ADD, form_of(admin_client, type="OrderDeclined")).content.decode()
    assert 'name="data-reason"' in page
    assert 'name="fields_of" value="OrderDeclined"' in page
    assert [*store.read_all()] == []


def test_json_beside_the_fields_is_used_if_the_user_says_so(admin_client: Client, store: EventStore) -> None:
    define_paid()
    form = form_of(admin_client, data='{"method": "cash"}', use_json="on", **{"data-times": "0"})
    assert admin_client.post(ADD, form).status_code == 302
    (event,) = store.get_events_for_aggregate("order-1")
    assert event.data == {"method": "cash", "times": 1}


def test_error_is_at_its_field_and_nothing_is_stored(admin_client: Client, store: EventStore) -> None:
    define_paid()
    page = admin_client.post(ADD, form_of(admin_client, **{"data-times": "0"})).content.decode()
    assert "Correct the marked fields." in page
    assert "Ensure this value is greater than or equal to 1." in page
    page = admin_client.post(ADD, form_of(admin_client, type="Other")).content.decode()
    assert "You have changed the type; the data was that of OrderPaid." in page
    assert [*store.read_all()] == []
