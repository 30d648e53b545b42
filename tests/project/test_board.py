"""The projections' board in a real browser: it keeps itself up to date, and is operated by mouse or keyboard."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from playwright.sync_api import Page, expect

from events.storage import ordering
from events.store import EventStore
from projections import registry
from projections.admin.projections import ProjectionAdmin
from projections.engine import runner
from projections.engine.registration import register_all
from projections.models import Heartbeat, Operation, ParkedEvent, ProjectionState
from projections.operations import actions
from projections.workers.scheduler import plan
from tests import FULL
from tests.browser import Browser
from tests.projections.support import catch_up, notes
from tests.readmodels.projections import Fragile, Tally
from tests.support import AsgiServer, Wait, new, some

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("running_worker")]

BOARD = "/admin/projections/projectionstate/"
REFRESHED = "Refreshed every 2 s"


@pytest.fixture
def operator(make_user: Callable[..., User]) -> User:
    models = ("projectionstate", "parkedevent", "heartbeat", "operation")
    views = [f"projections.view_{model}" for model in models]
    return make_user("projections.operate_projections", "events.view_event", *views, is_staff=True)


@pytest.fixture
def open_page(asgi_server: AsgiServer, browser: Browser, operator: User) -> Callable[..., None]:
    """Opens a page, and notes in it that it is this one, and not one loaded later."""
    register_all()
    browser.log_in(operator, asgi_server.url)

    def open_page(path: str = BOARD) -> None:
        browser(lambda page: page.goto(f"{asgi_server.url}{path}"))
        _says(browser, REFRESHED)
        browser(lambda page: page.evaluate("window.untouched = true"))

    return open_page


def _says(browser: Browser, text: str) -> None:
    browser(lambda page: expect(page.get_by_role("status")).to_contain_text(text))


def _row_has(browser: Browser, name: str, *texts: str) -> None:
    for text in texts:
        browser(lambda page, text=text: expect(page.locator(f"#row-{name}")).to_contain_text(text))


def _is_untouched(browser: Browser) -> bool:
    return bool(browser(lambda page: page.evaluate("window.untouched")))


def _wait_for_refreshes(browser: Browser, number: int = 1) -> None:
    for _ in range(number):

        def wait(page: Page) -> None:
            with page.expect_response(lambda answer: "x-event-refresh" in answer.request.headers):
                pass

        browser(wait)


def _click(browser: Browser, name: str, *, inside: str = "body") -> None:
    browser(lambda page: page.locator(inside).get_by_role("button", name=name, exact=True).click())


def test_board_shows_what_happens_without_a_reload(
    open_page: Callable[..., None], browser: Browser, store: EventStore
) -> None:
    open_page()
    _row_has(browser, "tally", "running")
    Heartbeat.objects.all().delete()
    _row_has(browser, "tally", "no worker")
    browser(lambda page: expect(page.get_by_text("No worker is running.")).to_be_visible())
    events = store.dispatch(*[new(f"a-{n}", "Counted") for n in range(3)])
    _row_has(browser, "tally", "3 events")
    catch_up("tally")
    _row_has(browser, "tally", "none", f"{events[-1].position:,}")
    actions.pause("tally", by="ann", reason="lunch")
    _row_has(browser, "tally", "paused", "by ann: lunch")
    assert _is_untouched(browser)
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


def test_refreshing_can_be_paused(open_page: Callable[..., None], browser: Browser, store: EventStore) -> None:
    open_page()
    _click(browser, "Pause refreshing")
    _says(browser, "Refreshing is paused")
    asked: list[str] = []
    browser(lambda page: page.on("request", lambda request: asked.append(request.url)))
    actions.pause("tally", by="ann")
    browser(lambda page: page.wait_for_timeout(2500))
    assert asked == []
    _row_has(browser, "tally", "running")
    _click(browser, "Resume refreshing")
    _row_has(browser, "tally", "paused")
    _says(browser, REFRESHED)


def test_form_that_is_open_survives_refreshes(
    open_page: Callable[..., None], browser: Browser, store: EventStore
) -> None:
    open_page()
    _click(browser, "Operate tally")
    browser(lambda page: page.keyboard.type("the disk is"))
    actions.pause("sharded_tally", by="ann")
    _says(browser, "Not refreshed while a form is in use")
    browser(lambda page: page.keyboard.type(" full"))
    browser(lambda page: expect(page.locator("#reason-tally")).to_be_focused())
    browser(lambda page: expect(page.locator("#reason-tally")).to_have_value("the disk is full"))
    _row_has(browser, "sharded_tally", "running")
    # Closed, it still keeps what was typed, and focus goes back to its button and stays there.
    browser(lambda page: page.keyboard.press("Escape"))
    _row_has(browser, "sharded_tally", "paused")
    _wait_for_refreshes(browser, 2)
    browser(lambda page: expect(page.locator("#open-tally")).to_be_focused())
    _click(browser, "Operate tally")
    browser(lambda page: expect(page.locator("#reason-tally")).to_have_value("the disk is full"))
    assert _is_untouched(browser)


def test_pause_and_resume_by_keyboard_alone(open_page: Callable[..., None], browser: Browser, operator: User) -> None:
    open_page()

    def press(*keys: str) -> None:
        for key in keys:
            browser(lambda page, key=key: page.keyboard.press(key))

    browser(lambda page: page.locator("#row-tally").get_by_role("link").focus())
    press("Tab", "Enter")
    browser(lambda page: page.keyboard.type("lunch"))
    press("Tab", "Enter")
    browser(lambda page: expect(page.get_by_text("Projection tally is paused.")).to_be_visible())
    _row_has(browser, "tally", "paused", f"by {operator.username}: lunch")
    browser(lambda page: page.locator("#row-tally").get_by_role("link").focus())
    press("Tab", "Space")
    browser(lambda page: expect(page.locator("#reason-tally")).to_be_focused())
    press("Tab", "Space")
    browser(lambda page: expect(page.get_by_text("Projection tally runs again.")).to_be_visible())
    assert list(Operation.objects.order_by("pk").values_list("action", "by", "reason")) == [
        ("pause", operator.username, "lunch"),
        ("resume", operator.username, ""),
    ]
    assert browser.errors == []


def test_parked_event_is_read_retried_and_skipped(
    open_page: Callable[..., None], browser: Browser, store: EventStore
) -> None:
    open_page()
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}), *[new("a-1", "Fragile") for _ in range(2)])
    catch_up("fragile")
    browser(lambda page: page.get_by_role("link", name="3 parked events of fragile").click())
    browser(lambda page: page.go_back())
    browser(lambda page: page.locator("#row-fragile").get_by_role("link", name="fragile", exact=True).click())
    article = "article.board-blocked"
    browser(lambda page: page.locator(article).locator("summary").click())
    browser(lambda page: expect(page.locator(article).locator("pre")).to_contain_text("in check"))
    browser(lambda page: expect(page.locator(article).get_by_role("listitem")).to_have_count(2))
    _wait_for_refreshes(browser, 2)
    browser(lambda page: expect(page.locator(article).locator("pre")).to_be_visible())  # it stays open

    _click(browser, "Retry or skip a-1", inside=article)
    _click(browser, "Retry", inside=article)
    browser(lambda page: expect(page.get_by_text("0 parked events of a-1 handled, 3 still parked")).to_be_visible())
    browser(lambda page: expect(page.locator(article)).to_contain_text("Attempts4"))

    _click(browser, "Retry or skip a-1", inside=article)
    _click(browser, "Skip", inside=article)  # without a reason, the browser keeps the form
    assert ParkedEvent.objects.count() == 3
    browser(lambda page: page.locator(article).get_by_label("Reason").fill("a test order"))
    _click(browser, "Skip", inside=article)
    browser(lambda page: expect(page.get_by_text("skipped; 2 behind it handled, 0 still parked")).to_be_visible())
    browser(lambda page: expect(page.get_by_text("No events are parked.")).to_be_visible())
    browser(lambda page: expect(page.locator("section", has_text="Operations").last).to_contain_text("a test order"))
    assert notes() == [("a-1", 2), ("a-1", 3)]
    assert [each.action for each in Operation.objects.order_by("pk")] == ["retry", "skip"]
    assert browser.errors == []
    assert browser.hosts == {"127.0.0.1"}


def test_event_that_was_parked_and_is_mended_leads_to_the_list(
    open_page: Callable[..., None], browser: Browser, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}))
    catch_up("fragile")
    parked = ParkedEvent.objects.get()
    open_page(f"/admin/projections/parkedevent/{parked.pk}/change/")
    browser(lambda page: expect(page.locator("pre")).to_contain_text("in check"))
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    _click(browser, "Retry or skip a-1")
    _click(browser, "Retry")
    browser(lambda page: expect(page.get_by_text("1 parked event of a-1 handled, 0 still parked")).to_be_visible())
    browser(lambda page: expect(page.get_by_text("This event is no longer parked.")).to_be_visible())
    assert notes() == [("a-1", 1)]


def test_rebuild_with_its_progress(
    open_page: Callable[..., None], browser: Browser, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Tally, "batch_events", 10)
    events = store.dispatch(*[new(f"a-{n}", "Counted") for n in range(40)])
    catch_up("tally")
    open_page()
    _click(browser, "Operate tally")
    _click(browser, "Rebuild …", inside="#row-tally")
    browser(lambda page: expect(page.get_by_text("the rebuild reads 40 events")).to_be_visible())
    browser(lambda page: expect(page.get_by_role("link", name="Go back, do not rebuild")).to_be_focused())
    _click(browser, "Rebuild")
    _row_has(browser, "tally", "rebuilding", "0 %")
    (task,) = plan(registry.named(["tally"]), rebuilds_only=True)
    runner.run_pass(task.projection, task.checkpoint_id, ordering.settled_position(connection.alias))
    done = 100 * events[9].position // events[-1].position
    assert 0 < done < 100
    progress = "#row-tally progress"
    browser(lambda page: expect(page.locator(progress)).to_have_attribute("value", str(done)))
    _row_has(browser, "tally", f"{done} %")
    catch_up("tally")
    _row_has(browser, "tally", "running")
    browser(lambda page: expect(page.locator(progress)).to_have_count(0))
    assert browser.errors == []


def test_failing_refresh_is_shown_and_recovers(open_page: Callable[..., None], browser: Browser) -> None:
    open_page()
    browser(lambda page: page.route("**/*", lambda route: route.abort()))
    _says(browser, "Not refreshed: the server does not answer")
    browser(lambda page: page.unroute("**/*"))
    browser(lambda page: page.route("**/*", lambda route: route.fulfill(status=500)))
    _says(browser, "Not refreshed: the server answered 500")
    actions.pause("tally", by="ann")
    browser(lambda page: page.unroute("**/*"))
    _says(browser, REFRESHED)
    _row_has(browser, "tally", "paused")
    assert _is_untouched(browser)


@pytest.mark.parametrize(
    ("lose", "text"),
    [
        (lambda user: Session.objects.all().delete(), "Your session has ended"),
        (lambda user: user.user_permissions.clear(), "This page no longer exists, or you may no longer see it"),
    ],
    ids=["session", "permission"],
)
def test_page_that_may_not_be_seen_any_more_says_so_and_stops(
    open_page: Callable[..., None], browser: Browser, operator: User, lose: Callable[[User], Any], text: str
) -> None:
    open_page()
    lose(operator)
    _says(browser, text)
    asked: list[str] = []
    browser(lambda page: page.on("request", lambda request: asked.append(request.url)))
    browser(lambda page: page.wait_for_timeout(2500))
    assert asked == []


def test_rows_that_come_and_go_are_put_in_their_place(open_page: Callable[..., None], browser: Browser) -> None:
    open_page()

    def names() -> list[str]:
        return browser(lambda page: page.locator("tr[id^=row-]").evaluate_all("rows => rows.map(row => row.id)"))

    before = names()
    browser(lambda page: page.evaluate("document.getElementById('row-tally').isThisOne = true"))
    ProjectionState.objects.create(name="gone", mode="async", version=1)
    _row_has(browser, "gone", "orphaned")
    assert names() == ["row-gone", *before]  # it needs attention
    ProjectionState.objects.filter(pk="gone").delete()
    Wait.until(lambda: names() == before)
    assert browser(lambda page: page.evaluate("document.getElementById('row-tally').isThisOne"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_hold_on_a_narrow_screen(
    open_page: Callable[..., None], browser: Browser, store: EventStore, scheme: Any
) -> None:
    long = "a-" + "long" * 50
    store.dispatch(new(long, "Fragile", data={"poison": "x" * 500}), *some(3, long), new(long, "Fragile"))
    catch_up("fragile")
    parked = ParkedEvent.objects.failed().get()
    browser(lambda page: page.set_viewport_size({"width": 400, "height": 800}))
    browser(lambda page: page.emulate_media(color_scheme=scheme))
    for path in (BOARD, f"{BOARD}fragile/change/", f"/admin/projections/parkedevent/{parked.pk}/change/"):
        open_page(path)
        browser(lambda page: page.locator(".board-operate").first.click())
        assert browser(lambda page: page.evaluate("document.documentElement.scrollWidth")) == 400, path
        assert browser(lambda page: page.locator(":popover-open").bounding_box())["width"] <= 400


def test_pages_keep_to_a_strict_policy(
    open_page: Callable[..., None], browser: Browser, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing inline; Django's own theme is in files as well."""
    original = ProjectionAdmin.changelist_view

    def with_policy(self: ProjectionAdmin, *args: Any, **options: Any) -> Any:
        answer = original(self, *args, **options)
        answer.headers["Content-Security-Policy"] = "default-src 'self'"
        return answer

    monkeypatch.setattr(ProjectionAdmin, "changelist_view", with_policy)
    open_page()
    _click(browser, "Operate tally")
    _click(browser, "Pause", inside="#row-tally")
    _row_has(browser, "tally", "paused")
    _wait_for_refreshes(browser)
    assert browser.errors == []


TOO_SMALL = """
    [...document.querySelectorAll(":is(.board, .event-dashboard, #changelist) :is(a, button, summary, input, select)")]
        .filter(each => each.type !== "hidden" && each.checkVisibility())
        .filter(each => Math.min(each.getBoundingClientRect().width, each.getBoundingClientRect().height) < 24)
        .map(each => each.outerHTML)
"""


@pytest.mark.parametrize("width", [400, 1400] if FULL else [400])
def test_targets_are_large_enough_for_fingers(
    open_page: Callable[..., None], browser: Browser, store: EventStore, width: int
) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": "x"}), *[new("a-1", "Fragile") for _ in range(2)])
    catch_up("fragile")
    actions.pause("tally", by="ann")
    browser(lambda page: page.set_viewport_size({"width": width, "height": 800}))
    parked = ParkedEvent.objects.failed().get()
    for path in (BOARD, f"{BOARD}fragile/change/", f"/admin/projections/parkedevent/{parked.pk}/change/"):
        open_page(path)
        assert browser(lambda page: page.evaluate(TOO_SMALL)) == [], path
        browser(lambda page: page.locator(".board-operate").first.click())
        assert browser(lambda page: page.evaluate(TOO_SMALL)) == [], path
    for path in ("/admin/", "/admin/projections/parkedevent/", "/admin/projections/operation/"):
        browser(lambda page, path=path: page.goto(page.url.partition("/admin/")[0] + path))
        assert browser(lambda page: page.evaluate(TOO_SMALL)) == [], path


def test_dashboard_refreshes_itself_while_it_is_visible(
    asgi_server: AsgiServer, browser: Browser, operator: User, store: EventStore
) -> None:
    register_all()
    browser.log_in(operator, asgi_server.url)
    browser(lambda page: page.clock.install())
    browser(lambda page: page.goto(f"{asgi_server.url}/admin/"))
    browser(lambda page: expect(page.get_by_text("Refreshed every 10 s")).to_be_visible())
    browser(lambda page: page.evaluate("window.untouched = true"))
    actions.pause("tally", by="ann", reason="lunch")
    store.dispatch(*some(3))
    browser(lambda page: page.clock.fast_forward(10_000))
    browser(lambda page: expect(page.get_by_role("link", name="Projection tally is paused")).to_be_visible())
    browser(lambda page: expect(page.get_by_role("heading", name="3 events in the last 24 hours")).to_be_visible())
    assert _is_untouched(browser)
    asked: list[str] = []
    browser(lambda page: page.on("request", lambda request: asked.append(request.url)))
    browser(lambda page: page.evaluate("Object.defineProperty(document, 'hidden', {value: true})"))
    browser(lambda page: page.clock.run_for(60_000))
    assert asked == []
    assert browser.errors == []
