"""A real browser for tests."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Page, Request, expect, sync_playwright

Result = TypeVar("Result")

THEMES: tuple[Literal["light"], Literal["dark"]] = ("light", "dark")
TOO_WIDE = "document.documentElement.scrollWidth > document.documentElement.clientWidth"

# The colours of another theme fade in.
SETTLED = "Promise.allSettled(document.getAnimations().map(each => each.finished))"


def page_faults(page: Page) -> list[str]:
    """Return the serious faults that axe finds in a page, and whether the page is wider than the screen."""
    found = Axe().run(page).response["violations"]
    faults = [
        f"{each['id']} at {each['nodes'][0]['html'][:80]}"
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    return [*faults, "wider than the screen"] if page.evaluate(TOO_WIDE) else faults


def faults_in_all_views(page: Page) -> list[str]:
    """Return the faults of a page at 400 and 1400 pixels, in the light and in the dark theme."""
    faults = []
    for width in (400, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.evaluate(SETTLED)
            faults += [f"{width} px, {theme}: {each}" for each in page_faults(page)]
    return faults


class Chromium:
    """A Chromium that all tests of a process share. It runs in a thread of its own.

    Beside the event loop that playwright needs, Django does not let a thread use the database.
    """

    ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
    WAIT_SECONDS = 20
    GIVE_UP_SECONDS = 60

    def __init__(self, executable: str) -> None:
        self._executable = executable
        self._steps: SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = SimpleQueue()

    def __enter__(self) -> Self:
        # A daemon, so that a browser that is stuck for good does not keep the tests from ending.
        threading.Thread(target=self._work, daemon=True).start()
        self.do(self._start)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.do(self._stop)
        self._steps.put(None)

    def do(self, step: Callable[[], Result]) -> Result:
        """Run `step` in the browser's thread."""
        done: Future[Result] = Future()
        self._steps.put((step, done))
        return done.result(self.GIVE_UP_SECONDS)

    def new_page(self) -> Page:
        """Open a page in a context of its own."""
        page = self._chromium.new_page()
        page.set_default_timeout(self.WAIT_SECONDS * 1000)
        return page

    def _work(self) -> None:
        while todo := self._steps.get():
            step, done = todo
            try:
                done.set_result(step())
            except Exception as error:
                done.set_exception(error)

    def _start(self) -> None:
        self._playwright = sync_playwright().start()
        self._chromium = self._playwright.chromium.launch(executable_path=self._executable, args=self.ARGUMENTS)
        expect.set_options(timeout=self.WAIT_SECONDS * 1000)

    def _stop(self) -> None:
        try:
            self._chromium.close()
        finally:
            self._playwright.stop()


class Browser:
    """One page. Call it with a function to run that function with the page.

    Attributes:
        errors: the errors in the page's console.
        hosts: the hosts that the page sent requests to; requests that its own policy prevented do not count.
    """

    def __init__(self, chromium: Chromium) -> None:
        self._chromium = chromium
        self.errors: list[str] = []
        self._requests: list[Request] = []

    def __enter__(self) -> Self:
        self._chromium.do(self._open)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._chromium.do(self._page.context.close)

    @property
    def hosts(self) -> set[str | None]:
        return {urlsplit(request.url).hostname for request in self._requests}

    def __call__(self, function: Callable[[Page], Result]) -> Result:
        return self._chromium.do(lambda: function(self._page))

    def log_in(self, user: User, url: str) -> None:
        """Give the browser a session of `user` at the site `url`."""
        client = Client()
        client.force_login(user)
        cookie: Any = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": url}
        self(lambda page: page.context.add_cookies([cookie]))

    def _open(self) -> None:
        self._page = self._chromium.new_page()
        self._page.on("console", lambda said: self.errors.append(said.text) if said.type == "error" else None)
        self._page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._page.on("request", lambda request: self._requests.append(request))
        self._page.on("requestfailed", lambda each: self._requests.remove(each) if each.failure == "csp" else None)
