"""The admin's pages of the store in a real browser, as somebody uses them who wants to know what happened."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.test import override_settings
from django.utils import timezone
from playwright.sync_api import Locator, Page, expect

from events.models import Event
from events.store import EventStore
from projections.models import Heartbeat, ParkedEvent
from projections.operations import actions
from tests import FULL
from tests.browser import TOO_WIDE, Browser, page_faults
from tests.projections.support import catch_up
from tests.support import AsgiServer, new, some, stored

pytestmark = pytest.mark.django_db(transaction=True)

THEMES_AND_WIDTHS: list[tuple[Any, int]] = [("light", 1400), ("dark", 400)]
if FULL:
    THEMES_AND_WIDTHS += [("dark", 1400), ("light", 400)]


@pytest.fixture
def admin(asgi_server: AsgiServer, browser: Browser, make_user: Callable[..., User]) -> Iterator[Browser]:
    """The browser, logged in. At the end, no page has had an error, and none has asked another host for anything."""
    models = ("projectionstate", "parkedevent", "heartbeat", "operation", "aggregateactivity")
    permissions = ["events.view_event", "events.view_aggregate", "events.add_event", "projections.operate_projections"]
    permissions += [f"projections.view_{model}" for model in models]
    browser.log_in(make_user(*permissions, is_staff=True), asgi_server.url)
    browser(lambda page: page.goto(f"{asgi_server.url}/admin/"))
    yield browser
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


def shown_versions(page: Page) -> list[str]:
    return page.locator(".event-version").all_inner_texts()


def data_of(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Data:", exact=True)


def test_from_the_index_to_an_old_version_of_an_aggregate(admin: Browser, store: EventStore) -> None:
    store.dispatch(*[new("order-17", "Counted", data={"n": n, "of": "order"}) for n in range(1, 61)], new("cart-1"))

    def walk(page: Page) -> None:
        page.reload()
        expect(page.get_by_role("heading", name="61 events in the last 24 hours")).to_be_visible()
        page.get_by_role("link", name="Aggregates").first.click()
        page.get_by_label("Search", exact=True).fill("order-")
        page.keyboard.press("Enter")
        page.get_by_role("link", name="order-17").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("order-17")
        assert shown_versions(page)[:3] == ["60", "59", "58"]
        # What is other than in the version before is marked, and what is the same is not.
        newest = page.locator(".event-entry").first
        assert newest.locator("del").all_inner_texts() == ["59"]
        assert newest.locator("ins").all_inner_texts() == ["60"]
        page.get_by_role("link", name="Older").first.click()
        assert shown_versions(page) == [str(n) for n in range(10, 0, -1)]
        slider = page.get_by_role("slider", name="As it was at version")
        slider.fill("30")
        expect(page.get_by_text("as it was at version 30; it is at 60 now")).to_be_visible()
        assert shown_versions(page)[0] == "30"
        page.get_by_role("spinbutton", name="As it was at version").fill("7")
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_text("as it was at version 7; it is at 60 now")).to_be_visible()
        page.get_by_role("link", name="to the newest").click()
        assert shown_versions(page)[0] == "60"

    admin(walk)


def test_text_is_found_in_a_history_and_data_is_folded(admin: Browser, store: EventStore) -> None:
    events = [new("order-1", "Changed", data={"lines": [{"sku": f"MUG-{n}"}], "note": "x"}) for n in range(1, 13)]
    store.dispatch(*events)

    def walk(page: Page) -> None:
        page.goto(page.url + "events/aggregate/order-1/change/")
        find = page.get_by_label("Find on this page")
        fold = page.get_by_role("button", name="Fold all")
        fold.click()
        expect(page.get_by_text("MUG-12")).to_be_hidden()
        find.fill("mug-1")  # of version 2, it is what the data was before
        expect(page.locator(".event-find [role=status]")).to_have_text("5 of 12")
        expect(page.locator(".event-entry:visible")).to_have_count(5)
        expect(page.get_by_text("MUG-12")).to_be_visible()
        assert page.evaluate("CSS.highlights.get('event-found').size") >= 4
        find.fill("")
        expect(page.locator(".event-entry:visible")).to_have_count(12)
        page.get_by_role("link", name="Search all its events").click()
        page.get_by_role("searchbox", name="Search", exact=True).fill("mug-7")
        page.keyboard.press("Enter")
        expect(page.locator("#result_list tbody tr")).to_have_count(1)

    admin(walk)


def test_what_led_to_an_event_is_a_link_away(admin: Browser, store: EventStore) -> None:
    (cause,) = store.dispatch(new("cart-1", "CheckedOut", metadata={"correlation_id": "flow"}))
    metadata = {"causation_id": str(cause.event_id), "correlation_id": "flow", "actor": "customer-7"}
    store.dispatch(new("order-1", "Placed", metadata=metadata), new("order-2", "Placed"))

    def walk(page: Page) -> None:
        page.goto(page.url + "events/aggregate/order-1/change/")
        expect(page.get_by_text("customer-7").first).to_be_visible()
        page.get_by_role("link", name="its flow").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Flow")
        page.get_by_role("link", name="In the list of events").click()
        expect(page.locator("#result_list tbody tr")).to_have_count(2)
        page.go_back()
        # The picture is used by keyboard, and says what it shows.
        page.get_by_role("region", name="The flow as a picture").focus()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="CheckedOut of cart-1, version 1", exact=True)).to_be_focused()
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Placed of order-1, version 1,")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Placed")
        page.get_by_role("link", name="CheckedOut of cart-1").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("CheckedOut")
        page.locator(".event-trail li").get_by_role("link", name="Placed").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Placed")

    admin(walk)


def test_appending_by_keyboard_shows_suggestions_and_errors_at_once(admin: Browser, store: EventStore) -> None:
    store.dispatch(*some(3, "order-1001"), new("order-1002"))

    def walk(page: Page) -> None:
        page.goto(page.url + "events/event/add/")
        page.get_by_label("Aggregate id").focus()
        page.keyboard.type("order-1001")
        expect(page.locator("#follows")).to_contain_text("The event will follow version 3 of order-1001.")
        page.keyboard.type("x")
        expect(page.locator("#follows")).to_contain_text("The event will be the first of a new aggregate")
        page.keyboard.press("Backspace")
        page.keyboard.press("Backspace")
        expect(page.locator("#aggregate-ids option")).to_have_count(2)
        page.keyboard.type("1")
        expect(page.locator("#follows")).to_contain_text("The event will follow version 3 of order-1001.")
        page.keyboard.press("Tab")
        page.keyboard.type("Shipped")
        page.keyboard.press("Tab")
        page.keyboard.press("Control+a")
        page.keyboard.type('{"carrier": "north", ')
        expect(page.locator("#id_data_fault")).to_contain_text("Not valid JSON yet")
        page.get_by_role("button", name="Append").click()
        expect(data_of(page)).to_be_focused()
        page.keyboard.press("Control+End")
        page.keyboard.type('"parcels": 2}')
        expect(page.locator("#id_data_fault")).to_be_empty()
        page.get_by_role("button", name="Tidy up the data").click()
        expect(data_of(page)).to_have_value('{\n  "carrier": "north",\n  "parcels": 2\n}')
        page.get_by_label("Type:").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Shipped is version 4 of order-1001.")).to_be_visible()

    admin(walk)
    event = Event.objects.latest("position")
    assert (event.data, event.metadata) == ({"carrier": "north", "parcels": 2}, {"actor": "user0"})


def test_double_click_stores_once(admin: Browser, store: EventStore) -> None:
    def walk(page: Page) -> None:
        page.goto(page.url + "events/event/add/?aggregate_id=order-1")
        page.get_by_label("Type:").fill("Placed")
        page.get_by_role("button", name="Append").dblclick()
        expect(page.get_by_role("heading", level=1)).to_have_text("order-1")
        assert shown_versions(page) == ["1"]

    admin(walk)
    assert Event.objects.count() == 1


def test_going_back_and_sending_again_stores_once(admin: Browser, store: EventStore) -> None:
    def walk(page: Page) -> None:
        page.goto(page.url + "events/event/add/?aggregate_id=order-1")
        page.get_by_label("Type:").fill("Placed")
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_text("Placed is version 1 of order-1.")).to_be_visible()
        page.go_back()
        expect(page.get_by_text("You have already sent this form.")).to_be_visible()
        expect(page.get_by_label("Type:")).to_have_value("Placed")
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_text("Placed is version 1 of order-1. It was already stored")).to_be_visible()
        page.go_back()
        page.get_by_role("link", name="open a new form").click()
        expect(page.get_by_text("You have already sent this form.")).to_be_hidden()
        page.get_by_label("Aggregate id:").press_sequentially("order-1")
        page.get_by_label("Type:").fill("Paid")
        expect(page.get_by_text("The event will follow version 1")).to_be_visible()
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_text("Paid is version 2 of order-1.")).to_be_visible()

    admin(walk)
    assert stored() == [("order-1", 1), ("order-1", 2)]


def test_collision_shows_what_came_in_between_and_lets_the_user_decide(admin: Browser, store: EventStore) -> None:
    store.dispatch(new("order-1", "Placed", data={"total": 5}))

    def fill_in(page: Page) -> None:
        page.goto(page.url + "events/event/add/?aggregate_id=order-1")
        page.get_by_label("Type:").fill("Shipped")
        data_of(page).fill('{"carrier": "south"}')

    def decide(page: Page) -> None:
        page.get_by_role("button", name="Append").click()
        expect(page.get_by_role("alert")).to_contain_text("was at version 1 when you opened this form, and is now at 2")
        between = page.get_by_role("region", name="Events since you opened this form")
        expect(between.get_by_role("link", name="Cancelled")).to_be_visible()
        expect(between.get_by_text("sold out")).to_be_visible()
        expect(data_of(page)).to_have_value('{"carrier": "south"}')
        page.get_by_role("button", name="Append after version 2").click()
        assert shown_versions(page) == ["3", "2", "1"]

    admin(fill_in)
    store.dispatch(new("order-1", "Cancelled", data={"reason": "sold out"}))
    admin(decide)


def test_pages_work_without_javascript(admin: Browser, asgi_server: AsgiServer, store: EventStore) -> None:
    store.dispatch(*some(3, "order-1"))

    def walk(page: Page) -> None:
        assert page.context.browser
        plain = page.context.browser.new_context(storage_state=page.context.storage_state(), java_script_enabled=False)
        with plain.new_page() as bare:
            bare.goto(f"{asgi_server.url}/admin/events/aggregate/order-1/change/")
            bare.get_by_role("spinbutton", name="As it was at version").fill("2")
            bare.get_by_role("button", name="Go").click()
            assert shown_versions(bare) == ["2", "1"]
            bare.get_by_role("link", name="Append an event").click()
            bare.get_by_label("Type").fill("Shipped")
            bare.get_by_role("button", name="Append").click()
            expect(bare.get_by_text("Shipped is version 4 of order-1.")).to_be_visible()
        plain.close()

    admin(walk)


PAGES = {
    "index": "",
    "events": "events/event/",
    "nothing found": "events/event/?q=none",
    "found in the data": "events/event/?q=sku&in=data&category=order",
    "event": "events/event/{position}/change/",
    "aggregates": "events/aggregate/",
    "history": "events/aggregate/order-1/change/",
    "past": "events/aggregate/order-1/change/?up_to_version=2",
    "form": "events/event/add/?aggregate_id=order-1",
    "filters": "events/event/#changelist-filter",
    "board": "projections/projectionstate/",
    "projection": "projections/projectionstate/fragile/change/",
    "parked events": "projections/parkedevent/",
    "parked event": "projections/parkedevent/{parked}/change/",
    "workers": "projections/heartbeat/",
    "operations": "projections/operation/",
    "read model": "projections/aggregateactivity/",
}


TOO_SMALL = """
    [...document.querySelectorAll("#content :is(a, button, summary, select, input:not([type=hidden])), .breadcrumbs a")]
        .filter(each => each.checkVisibility({visibilityProperty: true}) && !each.closest(SENTENCES))
        .filter(each => Math.min(each.getBoundingClientRect().width, each.getBoundingClientRect().height) < 23.9)
        .map(each => each.outerHTML.slice(0, 60))
""".replace("SENTENCES", "'.help, .messagelist, #append p, #append .datetimeshortcuts'")
OVERFLOWING = """
    [...document.querySelectorAll("#result_list tbody :is(th, td)")]
        .some(cell => cell.scrollWidth > cell.clientWidth + 1)
"""


@pytest.mark.parametrize(("theme", "width"), THEMES_AND_WIDTHS)
def test_pages_are_accessible_and_fit_the_screen(
    admin: Browser, asgi_server: AsgiServer, store: EventStore, theme: Any, width: int
) -> None:
    flow = {"correlation_id": "a-long-correlation-id-of-some-flow-" * 3, "actor": "customer-7"}
    event, *_ = store.dispatch(
        *[
            new("order-1", "OrderChanged", data={"sku": "MUG" * n, "n": n, "b": [n]}, metadata=flow)
            for n in range(1, 9)
        ],
        *[new(f"a-category-with-a-long-name-and-more-{n}", "SomethingWithALongNameHappened") for n in range(9)],
        *[new(f"c{n}-1") for n in range(9)],
        *[new("a-1", "Fragile", data={"poison": 1}) for _ in range(3)],
    )
    catch_up("fragile")
    actions.pause("tally", by="user0", reason="a reason of many words, so that it needs more than one line " * 3)
    now = timezone.now()
    for host, projections in (("h" * 60, "tally"), ("worker-1", "daily_activity, event_type_activity, product_sales")):
        Heartbeat.objects.create(id=uuid4(), host=host, pid=41, started_at=now, seen_at=now, projections=projections)
    parked = ParkedEvent.objects.failed().get()

    def look(page: Page) -> list[str]:
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=theme)
        faults = []
        # Every second page for each theme; FULL_TESTS=1 looks at all of them.
        pages = list(PAGES.items())
        for name, path in pages if FULL else pages[theme == "dark" :: 2]:
            page.goto(f"{asgi_server.url}/admin/{path.format(position=event.position, parked=parked.pk)}")
            page.evaluate("document.querySelectorAll('#content details').forEach(each => each.open = true)")
            faults += [f"{name}: {each}" for each in page_faults(page)]
            if page.evaluate(OVERFLOWING):
                faults.append(f"{name}: a cell is too narrow for what is in it")
            if path.startswith("events/"):
                faults += [f"{name}: too small for a finger: {each}" for each in page.evaluate(TOO_SMALL)]
            if page.get_by_text("None", exact=True).count():
                faults.append(f"{name}: says None")
        return faults

    assert admin(look) == []


def test_list_fits_whatever_it_holds_and_filters_open_at_the_top(admin: Browser, store: EventStore) -> None:
    long = "a-name-that-goes-on-and-on-" * 9
    store.dispatch(*[new(f"{long}{n}", f"{long}", data={"n": long}) for n in range(60)])

    def walk(page: Page) -> None:
        page.set_viewport_size({"width": 1400, "height": 900})
        page.goto(page.url + "events/event/")
        last = page.locator("#result_list tbody tr").first.locator(".event-summary").bounding_box()
        around = page.locator("#changelist-form").bounding_box()
        assert last
        assert around
        assert last["x"] + last["width"] <= around["x"] + around["width"]
        clipped = page.locator("#result_list a.event-clip").first
        assert clipped.evaluate("each => each.scrollWidth > each.clientWidth")
        expect(clipped).to_have_attribute("title", f"{long}59")
        page.set_viewport_size({"width": 400, "height": 900})
        expect(page.get_by_text("Past 7 days")).to_be_hidden()
        page.get_by_role("link", name="Filters", exact=True).focus()
        page.keyboard.press("Enter")
        expect(page.get_by_text("Past 7 days")).to_be_visible()
        filters, table = (page.locator(each).bounding_box() for each in ("#changelist-filter", "#result_list"))
        assert filters
        assert table
        assert filters["y"] + filters["height"] <= table["y"]
        page.keyboard.press("Tab")
        assert page.evaluate("!!document.activeElement.closest('#changelist-filter')")
        page.get_by_role("link", name="Past 7 days").click()
        page.get_by_role("link", name="Filters (in use)").click()
        page.get_by_role("link", name="Hide the filters").click()
        expect(page.get_by_text("Past 7 days")).to_be_hidden()

    admin(walk)


def test_ids_and_json_are_copied(admin: Browser, store: EventStore) -> None:
    (event,) = store.dispatch(new("order-1", data={"text": "a\u202eb", "n": 12345678901234567890}))

    def walk(page: Page) -> None:
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])
        index = page.url
        for path in ("events/aggregate/order-1/change/", f"events/event/{event.position}/change/"):
            page.goto(index + path)
            page.get_by_role("button", name="Copy the event id").click()
            expect(page.locator(".event-unseen[role=status]")).to_have_text("Copied")
            assert page.evaluate("navigator.clipboard.readText()") == str(event.event_id)
            expect(page.locator(".event-unseen[role=status]")).to_be_empty()
            page.get_by_role("button", name=re.compile("Copy (the )?JSON")).click()
            expect(page.locator(".event-unseen[role=status]")).to_have_text("Copied")
            assert json.loads(page.evaluate("navigator.clipboard.readText()")) == event.data

    admin(walk)


@override_settings(LANGUAGE_CODE="ar")
def test_pages_run_from_right_to_left(admin: Browser, asgi_server: AsgiServer, store: EventStore) -> None:
    event, _ = store.dispatch(
        new("order-1", "Changed", data={"n": 1}, metadata={"correlation_id": "c"}),
        new("order-1", "Changed", data={"n": 2}, metadata={"correlation_id": "c"}),
    )

    def look(page: Page) -> list[str]:
        faults = []
        for width in (1400, 400):
            page.set_viewport_size({"width": width, "height": 900})
            for name in ("events", "event", "aggregates", "history", "past", "form"):
                page.goto(f"{asgi_server.url}/admin/{PAGES[name].format(position=event.position)}")
                assert page.evaluate("document.documentElement.dir") == "rtl"
                if page.evaluate(TOO_WIDE):
                    faults.append(f"{name}: wider than the screen")
                if page.evaluate("[...document.querySelectorAll('.json-tree, pre')].some(each => each.dir != 'ltr')"):
                    faults.append(f"{name}: JSON from right to left")
        return faults

    assert admin(look) == []


def test_index_is_read_without_seeing_its_chart(admin: Browser, store: EventStore) -> None:
    store.dispatch(*some(3, "order-1"), new("cart-1"))

    def walk(page: Page) -> None:
        page.reload()
        expect(page.get_by_role("img", name="Events by hour and category")).to_be_visible()
        page.get_by_text("As a table").click()
        table = page.get_by_role("region", name="Events by hour and category")
        assert table.get_by_role("row").last.get_by_role("cell").all_inner_texts() == ["3", "1", "4"]
        page.get_by_role("link", name="by minute").focus()
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="4 events in the last hour")).to_be_visible()
        expect(page.get_by_role("link", name="by minute")).to_have_attribute("aria-current", "true")

    admin(walk)
