"""The demo's shop: its page, its rules, its history in two forms, and its traffic."""

import random
import re
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandParser
from django.db import connection
from django.test import Client
from django.utils import timezone
from playwright.sync_api import Page, expect

from events.models import Event
from eventstore_project import demo
from eventstore_project.domain import Order, UnknownProduct, orders
from eventstore_project.management.commands.serve import Command as Serve
from eventstore_project.management.commands.setup_demo import fill_read_models
from eventstore_project.traffic import Customers
from projections.models import ParkedEvent
from tests.browser import Browser, faults_in_all_views
from tests.support import AsgiServer


def place(client: Client, sku: str = "MUG-1", quantity: int = 1) -> str:
    response = client.post("/shop/orders/", {"sku": sku, "quantity": quantity}, follow=True)
    (aggregate_id,) = re.findall(r"You have placed (order-\w+)\.", response.content.decode())
    return str(aggregate_id)


def pay(client: Client, aggregate_id: str, method: str) -> str:
    return client.post(f"/shop/orders/{aggregate_id}/pay/", {"method": method}, follow=True).content.decode()


@pytest.mark.django_db
def test_clicks_are_commands_and_the_order_decides(client: Client) -> None:
    aggregate_id = place(client, "DESK-9")
    assert "Rejected: the wallet holds 200 EUR" in pay(client, aggregate_id, "wallet")
    assert f"You have paid {aggregate_id}" in pay(client, aggregate_id, "card")
    assert f"{aggregate_id} is paid already" in pay(client, aggregate_id, "card")
    events = Event.objects.of_aggregate(aggregate_id).order_by("version")
    assert [event.type for event in events] == ["OrderReceived", "PaymentReceived"]
    assert {event.metadata["user"] for event in events} == {"visitor"}
    assert orders.get(aggregate_id).is_paid


@pytest.mark.django_db
def test_visitors_change_the_orders_of_their_own_session_only(client: Client) -> None:
    aggregate_id = place(client)
    stranger = Client()
    assert stranger.post(f"/shop/orders/{aggregate_id}/pay/", {"method": "card"}).status_code == 404
    for data in ({"sku": "CAR-1", "quantity": 1}, {"sku": "MUG-1", "quantity": 99}, {}):
        assert "You have placed" not in stranger.post("/shop/orders/", data, follow=True).content.decode()
    assert Event.objects.count() == 1
    assert stranger.get("/shop/stream/").status_code == 501, "it needs ASGI"
    assert stranger.get("/api/events/").status_code == 401


@pytest.mark.django_db(transaction=True)
def test_history_is_stored_in_two_forms_and_one_event_is_parked() -> None:
    demo.store_history(timezone.now(), orders=30, days=4)
    fill_read_models()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT type, metadata ? '$schema', count(*) FROM events_event WHERE type LIKE 'Order%' GROUP BY 1, 2"
        )
        stored = {(name, has_version) for name, has_version, _ in cursor.fetchall()}
    assert {("OrderSubmitted", False), ("OrderReceived", True)} <= stored
    received = list(Event.objects.of_types("OrderReceived"))
    assert {event.type for event in received} == {"OrderReceived"}
    assert all(event.payload.currency == "EUR" for event in received)
    (parked,) = ParkedEvent.objects.failed()
    assert parked.error == "KeyError: 'balloon'"
    assert Client().get("/api/health/").json()["status"] == "ok"


@pytest.mark.django_db
def test_customers_place_pay_and_break_rules() -> None:
    customers = Customers(random.Random(1))
    for _ in range(60):
        customers.step()
    types = {event.type for event in Event.objects.all()}
    assert {"OrderReceived", "PaymentReceived"} <= types
    assert Event.objects.count() < 60, "the rest was rejected"
    assert all({"correlation_id", "user"} <= event.metadata.keys() for event in Event.objects.all())


@pytest.mark.django_db
def test_order_for_what_the_shop_does_not_sell_is_rejected() -> None:
    with pytest.raises(UnknownProduct, match="does not sell CAR-1; it sells BOOK-7, LAMP-2"):
        orders.handle("1", Order.place, "somebody", {"CAR-1": 1})
    assert Event.objects.count() == 0


def test_traffic_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    def traffic(*arguments: str) -> Any:
        parser = CommandParser()
        Serve().add_arguments(parser)
        return parser.parse_args(list(arguments)).traffic

    assert traffic() is True
    assert traffic("--no-traffic") is False
    monkeypatch.setenv("TRAFFIC", "0")
    assert traffic() is False


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("width", [400, 1400])
def test_page_shows_events_as_they_are_stored(asgi_server: AsgiServer, browser: Browser, width: int) -> None:
    def use(page: Page) -> None:
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(asgi_server.url)
        expect(page.get_by_text("live", exact=True)).to_be_visible()

    def see_and_click(page: Page) -> None:
        expect(page.get_by_role("link", name="order-elsewhere").first).to_be_visible()
        page.get_by_role("button", name="Order").first.click()
        expect(page.get_by_text(re.compile("You have placed order-"))).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")

    browser(use)
    orders.handle("elsewhere", Order.place, "somebody", {"PEN-4": 2})
    browser(see_and_click)
    assert browser.errors == []
    assert Event.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_page_is_accessible_in_both_themes_and_widths(asgi_server: AsgiServer, browser: Browser) -> None:
    def look(page: Page) -> list[str]:
        page.goto(asgi_server.url)
        expect(page.get_by_text("live", exact=True)).to_be_visible()
        page.get_by_role("button", name="Order: Desk").click()
        expect(page.get_by_role("link", name="order-")).to_have_count(2)  # in the orders and in the events
        page.get_by_role("button", name="with the wallet").click()
        expect(page.get_by_text("Rejected: the wallet holds 200 EUR")).to_be_visible()
        return faults_in_all_views(page)

    assert browser(look) == []
    assert browser.hosts == {"127.0.0.1"}
    assert Event.objects.count() == 1


def test_demo_is_sound() -> None:
    call_command("check")
