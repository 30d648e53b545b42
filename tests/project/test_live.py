"""The event stream in a real browser: its own EventSource, which comes again by itself, and the page that shows it."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, expect

from events.models import Event
from events.store import EventStore
from events.streaming import server_sent_events
from events.streaming.feed import Feed
from tests.browser import Browser
from tests.support import AsgiServer, Background, FragileProxy, in_threads, new, open_append, raise_first, some

BREAKS = 12

pytestmark = pytest.mark.django_db(transaction=True)

FOLLOW = """address => {
    window.seen = [];
    window.opened = 0;
    const source = new EventSource(address);
    source.onopen = () => window.opened++;
    source.onmessage = message => {
        const event = JSON.parse(message.data);
        window.seen.push([message.lastEventId, event.position]);
        window.ended = event.aggregate_id === "x-end";
    };
}"""


@pytest.fixture
def reader(make_user: Callable[..., User]) -> User:
    return make_user("events.view_event", "events.view_aggregate", is_staff=True)


@pytest.mark.parametrize("query", ["", "?category=x"])
def test_browser_s_own_reconnection_loses_and_repeats_nothing(
    asgi_server: AsgiServer,
    browser: Browser,
    reader: User,
    store: EventStore,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
) -> None:
    settings.EVENTS_STREAM_CHECKPOINT_SECONDS = 0.01
    monkeypatch.setattr(server_sent_events, "RETRY_MILLISECONDS", 20)
    chance = random.Random(1)
    store.dispatch(*some(30, "x-0"), *some(30, "y-0"))
    enough = threading.Event()

    def write(writer: int) -> None:
        n = 0
        while not enough.is_set():
            n += 1
            # Often a transaction stays open meanwhile: its positions are lower, and appear later.
            with open_append(store, new(f"y-open-{writer}"), new(f"x-open-{writer}")) if n % 5 == 0 else nullcontext():
                store.dispatch(new(f"{'x' if n % 6 == 0 else 'y'}-{writer}", data={"text": "é" * 100}))
                time.sleep(0.02)

    def write_all() -> None:
        raise_first(in_threads(*[lambda writer=writer: write(writer) for writer in range(4)]))

    with FragileProxy(asgi_server.url) as proxy:
        browser.log_in(reader, proxy.url)
        browser(lambda page: page.goto(f"{proxy.url}/api/health/"))  # any page of the same origin
        browser(lambda page: page.evaluate(FOLLOW, f"/api/events/stream/{query}"))
        with Background(write_all):
            try:
                for _ in range(BREAKS):
                    # In silence, and in the middle of an event. But not inside the head of an answer: Chromium takes
                    # what came of that for all of it, and gives up.
                    time.sleep(chance.uniform(0.2, 0.4))
                    proxy.break_now()
                    proxy.break_after(chance.randrange(600, 4000))
            finally:
                enough.set()
        store.dispatch(new("x-end"))
        browser(lambda page: page.wait_for_function("window.ended"))
        seen = browser(lambda page: page.evaluate("window.seen"))
        opened = browser(lambda page: page.evaluate("window.opened"))
    wanted = Event.objects.in_category("x") if query else Event.objects.all()
    positions = list(wanted.order_by("position").values_list("position", flat=True))
    assert [position for _, position in seen] == positions
    assert [int(last_event_id) for last_event_id, _ in seen] == positions
    assert opened > BREAKS


@pytest.fixture
def open_live(asgi_server: AsgiServer, browser: Browser, reader: User) -> Callable[..., None]:
    """Opens the live page, and waits until it is."""

    def open_page(query: str = "", site: str = asgi_server.url) -> None:
        browser.log_in(reader, site)
        browser(lambda page: page.goto(f"{site}/live/{query}"))
        _has_status(browser, "Live")

    return open_page


def _has_status(browser: Browser, text: str) -> None:
    browser(lambda page: expect(page.get_by_role("status")).to_contain_text(text))


def _shows(browser: Browser, positions: list[int]) -> None:
    """Wait until the rows are the events at `positions`."""
    numbers = [str(position) for position in positions]
    browser(lambda page: expect(page.locator(".live-number")).to_have_text(numbers))


def _positions(events: list[Event]) -> list[int]:
    """Newest first, as the page has them."""
    return [event.position for event in reversed(events)]


def test_page_shows_what_comes_without_a_reload(
    open_live: Callable[..., None], browser: Browser, store: EventStore
) -> None:
    old = store.dispatch(*some(30))
    open_live()
    _shows(browser, _positions(old)[:20])
    browser(lambda page: page.evaluate("window.untouched = true"))
    aggregate_id, markup = "order-<b>/7_ü", "<img src=x onerror=alert(1)>"
    data = {"n": 2**70, "f": 1.0, "text": markup}
    (event,) = store.dispatch(new(aggregate_id, markup, data=data))
    _shows(browser, [event.position, *_positions(old)[:20]])
    browser(lambda page: page.locator("summary").first.click())
    assert browser(lambda page: page.locator(".live-type").first.inner_text()) == markup
    shown = browser(lambda page: page.locator("pre").inner_text())
    assert [line.strip(" ,") for line in shown.splitlines()[1:-1]] == [
        '"f": 1.0',
        f'"n": {2**70}',
        f'"text": "{markup}"',
    ]
    assert browser(lambda page: page.locator("#live-position").inner_text()) == str(event.position)
    assert browser(lambda page: page.evaluate("window.untouched"))
    browser(lambda page: page.get_by_role("link", name=aggregate_id).click())
    browser(lambda page: expect(page.get_by_role("heading", name=aggregate_id)).to_be_visible())
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


def test_page_filters(open_live: Callable[..., None], browser: Browser, store: EventStore) -> None:
    wanted = store.dispatch(
        new("order-1", "Paid"), new("order-2", "Paid"), new("cart-1", "Paid"), new("order-1", "Sent")
    )
    store.dispatch(*some(30))
    open_live()

    def choose(**fields: str) -> None:
        for label, value in fields.items():
            browser(lambda page, label=label, value=value: page.get_by_label(label).fill(value))
        browser(lambda page: page.get_by_role("button", name="Filter").click())
        _has_status(browser, "Live")

    choose(Type="Paid")
    _shows(browser, _positions(wanted[:3]))
    choose(Category="order")
    _shows(browser, _positions(wanted[:2]))
    choose(Type="", Aggregate="order-1")
    _shows(browser, [wanted[3].position, wanted[0].position])
    _, later = store.dispatch(new("order-2", "Paid"), new("order-1", "Paid"))
    _shows(browser, [later.position, wanted[3].position, wanted[0].position])
    choose(Aggregate="order-3")
    browser(lambda page: expect(page.get_by_text("No events yet match the filter.")).to_be_visible())
    (first,) = store.dispatch(new("order-3"))
    _shows(browser, [first.position])
    assert browser.errors == []


def test_page_pauses_and_keeps_the_newest_events(
    open_live: Callable[..., None], browser: Browser, store: EventStore
) -> None:
    events = store.dispatch(*some(3))
    open_live()
    browser(lambda page: page.get_by_role("button", name="Pause").click())
    _has_status(browser, "Paused")
    events += store.dispatch(*some(150, "b-1"))
    browser(lambda page: expect(page.locator("#live tbody tr")).to_have_count(3))
    browser(lambda page: page.get_by_role("button", name="Resume").click())
    _has_status(browser, "Live")
    _shows(browser, _positions(events))
    events += store.dispatch(*some(250, "c-1"))
    _shows(browser, _positions(events)[:200])
    assert browser.errors == []


def test_page_comes_back_when_its_connection_broke(
    open_live: Callable[..., None],
    browser: Browser,
    store: EventStore,
    asgi_server: AsgiServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events = store.dispatch(*some(3))
    with FragileProxy(asgi_server.url) as proxy:
        open_live(site=proxy.url)
        proxy.break_now()
        _has_status(browser, "Reconnecting")
        events += store.dispatch(*some(3, "b-1"))
        _has_status(browser, "Live")
        _shows(browser, _positions(events))

        # An EventSource gives up when it is rejected; the page asks why, and tries again.
        def be_rejected(page: Page) -> None:
            with page.expect_response(lambda answer: answer.status == 503):
                proxy.break_now()

        with monkeypatch.context() as full:
            full.setattr(Feed, "open_streams", lambda user=None: 1000)
            browser(be_rejected)
            _has_status(browser, "Reconnecting")
        _has_status(browser, "Live")


def test_page_tells_why_it_ended(open_live: Callable[..., None], browser: Browser, reader: User, settings: Any) -> None:
    settings.EVENTS_STREAM_PERMISSION_SECONDS = 0.1
    open_live()
    reader.user_permissions.clear()
    _has_status(browser, "Ended: You may no longer read these events")
    browser(lambda page: page.get_by_role("button", name="Resume").click())
    _has_status(browser, "Ended: You do not have permission")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_page_holds_on_a_narrow_screen(
    open_live: Callable[..., None], browser: Browser, store: EventStore, scheme: Any
) -> None:
    store.dispatch(new("a-" + "long" * 50, "Type" * 50, data={"text": "x" * 500}))
    browser(lambda page: page.set_viewport_size({"width": 400, "height": 800}))
    browser(lambda page: page.emulate_media(color_scheme=scheme))
    open_live()
    browser(lambda page: page.locator("summary").click())
    assert browser(lambda page: page.evaluate("document.documentElement.scrollWidth")) == 400
    assert browser(lambda page: page.get_by_role("table").get_by_role("row").count()) == 2


def test_page_takes_the_permission_to_read(client: Client, make_user: Callable[..., User], reader: User) -> None:
    assert client.get("/live/").headers["Location"] == "/admin/login/?next=/live/"
    client.force_login(make_user(is_staff=True))
    assert client.get("/live/").status_code == 403
    assert "/live/" not in client.get("/admin/").content.decode()
    client.force_login(reader)
    assert client.get("/live/?type=a%00&category=%FF&aggregate_id=x").status_code == 200
    assert 'href="/live/"' in client.get("/admin/").content.decode()


def test_page_without_javascript_claims_nothing(asgi_server: AsgiServer, browser: Browser, reader: User) -> None:
    browser.log_in(reader, asgi_server.url)

    def look(page: Page) -> str:
        assert page.context.browser
        plain = page.context.browser.new_context(storage_state=page.context.storage_state(), java_script_enabled=False)
        with plain.new_page() as bare:
            bare.goto(f"{asgi_server.url}/live/")
            text = bare.locator("#content-main").inner_text()
        plain.close()
        return text

    assert browser(look) == (
        "This page shows events as they are stored, and needs JavaScript for that. The list of events works without it."
    )
