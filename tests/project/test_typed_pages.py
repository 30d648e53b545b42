"""The admin's pages for event types and commands in a real browser, with those of the demo's shop."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect

from events.models import Event
from eventstore_project.domain import Order, orders
from tests.browser import Browser, faults_in_all_views
from tests.support import AsgiServer

pytestmark = pytest.mark.django_db(transaction=True)

ADD = "events/event/add/?aggregate_id=order-17"
HISTORY = "events/aggregate/order-17/change/"
PAY = "events/aggregate/order-17/commands/pay/"

# At the same time, as a browser may do on a double click; returns the addresses of the pages that it is led to.
SEND_TWICE = """
    Promise.all([1, 2].map(async () => {
        const form = document.querySelector("#content-main form");
        return (await fetch(location.href, {method: "POST", body: new FormData(form)})).url;
    }))
"""


@pytest.fixture
def admin(asgi_server: AsgiServer, browser: Browser, make_user: Callable[..., User]) -> Iterator[Browser]:
    """The index of the admin, for a user who may append events and pay orders; a desk is ordered."""
    permissions = ["events.view_event", "events.view_aggregate", "events.add_event", "eventstore_project.pay_order"]
    permissions.append("projections.view_projectionstate")  # for the links of the catalogue
    orders.handle("17", Order.place, "ann", {"DESK-9": 1})
    browser.log_in(make_user(*permissions, is_staff=True), asgi_server.url)
    browser(lambda page: page.goto(f"{asgi_server.url}/admin/"))
    yield browser
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


def stored() -> list[tuple[str, Any]]:
    """Return the events after the order."""
    return [(event.type, event.data) for event in Event.objects.filter(version__gt=1).order_by("position")]


def without_javascript(page: Page, walk: Callable[[Page], None]) -> None:
    assert page.context.browser
    plain = page.context.browser.new_context(storage_state=page.context.storage_state(), java_script_enabled=False)
    with plain.new_page() as bare:
        walk(bare)
    plain.close()


def test_fields_of_the_type_appear_and_are_filled_in_by_keyboard(admin: Browser) -> None:
    def send_too_early(page: Page) -> None:
        page.goto(page.url + ADD)
        expect(page.get_by_role("button", name="Show fields")).to_be_hidden()
        assert page.locator("#event-types option[value=PaymentReceived]").count(), "no event of the type is stored yet"
        page.get_by_label("Type:").focus()
        page.keyboard.type("PaymentReceived")
        page.keyboard.press("Tab")
        method = page.get_by_label("Method:")
        expect(method).to_be_focused()
        expect(page.get_by_role("group", name="Data of PaymentReceived:")).to_be_visible()
        expect(page.get_by_role("textbox", name="Data:", exact=True)).to_be_hidden()
        page.keyboard.type("card")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_have_text("Correct the marked fields.")
        amount = page.get_by_label("Amount:")
        expect(amount).to_have_accessible_description("This field is required.")
        expect(amount).to_have_attribute("aria-invalid", "true")
        expect(method).to_have_value("card")

    def correct(page: Page) -> None:
        page.get_by_label("Amount:").focus()
        page.keyboard.type("349.00")
        page.keyboard.press("Enter")
        expect(page.get_by_text("PaymentReceived is version 2 of order-17.")).to_be_visible()

    admin(send_too_early)
    assert stored() == []
    admin(correct)
    assert stored() == [("PaymentReceived", {"method": "card", "amount": "349.00"})]


def test_json_takes_the_place_of_the_fields_and_the_fields_follow_the_type(admin: Browser) -> None:
    def walk(page: Page) -> None:
        page.goto(page.url + ADD)
        kind = page.get_by_label("Type:")
        data = page.get_by_role("textbox", name="Data:", exact=True)
        kind.fill("ParcelShipped")
        kind.blur()
        page.get_by_label("Carrier:").fill("north")
        kind.fill("Odd")  # a type without a class
        kind.blur()
        expect(page.get_by_label("Carrier:")).to_be_hidden()
        expect(data).to_be_visible()
        kind.fill("ParcelPacked")
        kind.blur()
        expect(page.get_by_label("Parcels:")).to_have_value("1")
        page.get_by_text("Write the data as JSON instead").click()
        instead = page.get_by_label("Use this JSON instead of the fields")
        expect(instead).not_to_be_checked()
        data.fill('{"parcels": 0')
        expect(instead).to_be_checked()
        page.get_by_text("Write the data as JSON instead").click()
        page.get_by_role("button", name="Append").click()
        expect(data).to_be_focused()
        data.fill('{"parcels": 0}')
        page.get_by_role("button", name="Append").click()
        expect(data).to_have_accessible_description("A JSON object. parcels: expected int ≥ 1")

    admin(walk)
    assert stored() == []


def test_fields_work_without_javascript(admin: Browser, asgi_server: AsgiServer) -> None:
    def walk(page: Page) -> None:
        page.goto(f"{asgi_server.url}/admin/{ADD}")
        page.get_by_label("Type:").fill("PaymentReceived")
        page.get_by_label("Type:").press("Tab")
        page.keyboard.press("Enter")
        page.get_by_label("Method:").select_option("card")
        page.get_by_role("button", name="Show fields").click()
        expect(page.get_by_label("Method:")).to_have_value("card")
        expect(page.get_by_role("alert")).to_be_hidden()
        page.get_by_label("Type:").fill("PaymentDeclined")
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_text("You have changed the type; the data was that of PaymentReceived.")).to_be_visible()
        page.get_by_label("Reason:").fill("no cover")
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_text("PaymentDeclined is version 2 of order-17.")).to_be_visible()
        page.goto(f"{asgi_server.url}/admin/{PAY}")
        page.get_by_label("Method:").select_option("card")
        page.get_by_role("button", name="Pay").click()
        expect(page.get_by_text("Pay: order-17 is at version 3 now.")).to_be_visible()

    admin(lambda page: without_javascript(page, walk))
    assert [kind for kind, _ in stored()] == ["PaymentDeclined", "PaymentReceived"]


def test_command_is_rejected_and_runs_once_however_often_its_form_is_sent(admin: Browser) -> None:
    def run(page: Page) -> None:
        page.goto(page.url + HISTORY)
        actions = page.locator(".event-facts-action")
        # The user may not place or withdraw orders.
        assert actions.get_by_role("link").all_inner_texts() == ["Pay", "Append an event"]
        actions.get_by_role("link", name="Pay").press("Enter")
        method = page.get_by_label("Method:")
        method.select_option("wallet")
        page.get_by_role("button", name="Pay").press("Enter")
        expect(page.get_by_role("alert")).to_have_text(
            "Nothing was stored: the wallet holds 200 EUR, and order-17 costs 349.00 EUR; pay by card."
        )
        expect(method).to_have_value("wallet")
        method.select_option("card")
        assert {urlsplit(url).path for url in page.evaluate(SEND_TWICE)} == {f"/admin/{HISTORY}"}
        page.get_by_role("button", name="Pay").dblclick()
        expect(page.get_by_text("Pay: order-17 is at version 2 now.").first).to_be_visible()
        page.get_by_role("link", name="Pay", exact=True).click()
        page.get_by_label("Method:").select_option("card")
        page.get_by_role("button", name="Pay").click()
        expect(page.get_by_role("alert")).to_have_text("Nothing was stored: order-17 is paid already.")

    admin(run)
    assert stored() == [("PaymentReceived", {"method": "card", "amount": "349.00"})]


@pytest.mark.parametrize(
    "path",
    [f"{ADD}&type=OrderReceived", PAY, "events/event/types/"],
    ids=["form", "command", "catalogue"],
)
def test_page_is_accessible_in_both_themes_and_widths(admin: Browser, path: str) -> None:
    def look(page: Page) -> list[str]:
        page.goto(page.url + path)
        if send := page.locator(".submit-row input[type=submit]").all():
            send[0].click()
            expect(page.get_by_role("alert")).to_be_visible()
        page.evaluate("document.querySelectorAll('#content details').forEach(each => each.open = true)")
        return faults_in_all_views(page)

    assert admin(look) == []
