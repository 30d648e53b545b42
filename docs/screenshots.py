"""Take the screenshots in docs/images from the demo's pages: `make screenshots`.

It needs Chromium and a database server, as the tests do; it creates its own database there, and drops it. The shop has
more orders than the demo, for the charts, and its events are recorded at the times when they happened. Apart from the
current time and the rates of the projections, the pictures are the same each time.
"""

import logging
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from benchmarks.common import database, server

IMAGES = Path(__file__).resolve().parent / "images"
WIDTH, HEIGHT = 1400, 900
ORDERS, DAYS = 800, 30
HIDE_SIDEBAR = "localStorage.setItem('django.admin.navSidebarIsOpen', 'false')"


def set_the_scene() -> None:
    """Fill the empty database with events of a month, projections, parked events and operations."""
    from django.core.management import call_command
    from django.utils import timezone

    from eventstore_project.demo import store_history
    from projections.reactions import moving

    call_command("migrate", verbosity=0)
    store_history(timezone.now(), ORDERS, DAYS)
    moving.forward("fulfilment", by="operator", reason="the history of the shop")
    work_for_projections()


def work_for_projections() -> None:
    """Run a worker until it has caught up and parked events, then run half of a rebuild."""
    from django.test import override_settings

    from projections import registry
    from projections.operations import actions
    from projections.workers.worker import Until, Worker

    logging.disable(logging.ERROR)  # the errors are intended
    with override_settings(PROJECTIONS_RETRY_DELAYS_SECONDS=()):
        Worker(until=Until.CAUGHT_UP).run()
    actions.pause("event_type_activity", by="operator", reason="the monthly report is being prepared")
    actions.ask_for_rebuild("daily_activity", by="operator", reason="days are counted in UTC from now on")
    rounds = iter((True, True, False))
    Worker([registry.get("daily_activity")], rebuilds_only=True, should_continue=partial(next, rounds)).run()


def show_workers() -> None:
    """Add two workers that were seen just now; real workers would show the name of this machine."""
    from django.utils import timezone

    from projections.models import Heartbeat

    now = timezone.now()
    names = ["daily_activity, event_type_activity, product_sales, seals", "fulfilment, postage, product_sales"]
    for number, projections in enumerate(names, start=1):
        row = {
            "host": f"worker-{number}",
            "pid": 40 + number,
            "started_at": now - timedelta(days=number, hours=5),
            "seen_at": now + timedelta(minutes=1),  # the picture is taken later, and must show 0 s ago
            "projections": projections.split(", "),
            "events": 18_600 // number,
        }
        Heartbeat.objects.update_or_create(id=UUID(int=number, version=4), defaults=row)


class Camera:
    """Takes screenshots of the site's pages."""

    def __init__(self, browser: Any, site: str) -> None:
        self._browser, self._site = browser, site
        browser(self._set_up)

    def open(self, path: str) -> None:
        self._browser(lambda page: page.goto(self._site + path))

    def do(self, step: Any) -> None:
        """Call `step` with the page."""
        self._browser(step)

    def take(self, name: str, height: int = HEIGHT, scheme: str = "light") -> None:
        """Write a screenshot of the page, or of its upper part."""
        clip = {"x": 0, "y": 0, "width": WIDTH, "height": height}

        def shoot(page: Any) -> None:
            page.emulate_media(color_scheme=scheme)
            page.screenshot(path=IMAGES / f"{name}.png", clip=clip, animations="disabled", caret="hide")

        self._browser(shoot)
        if self._browser.errors:
            raise RuntimeError(f"{name}: the page logged errors: {self._browser.errors}")
        print(f"{name}.png, {(IMAGES / f'{name}.png').stat().st_size / 1024:.0f} KiB")

    def _set_up(self, page: Any) -> None:
        page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        page.add_init_script(HIDE_SIDEBAR)


def take_pictures(camera: Camera) -> None:
    from django.urls import reverse

    show_workers()
    camera.open(reverse("admin:index"))
    camera.take("dashboard", 720)
    camera.take("dashboard-dark", 720, scheme="dark")
    camera.open(f"{reverse('admin:events_event_changelist')}?category=order")
    camera.take("events", 700)
    camera.open(reverse("admin:events_aggregate_change", args=[_order_with_a_story()]))
    camera.take("history")
    show_workers()
    camera.open(reverse("admin:projections_projectionstate_changelist"))
    camera.take("board", 690)
    take_flow(camera)
    take_conflict(camera)


def take_flow(camera: Camera) -> None:
    """Let an order go through the whole process, with parcels and a timer."""
    from django.urls import reverse
    from django.utils import timezone

    from events.context import event_context
    from eventstore_project.domain import Order, orders
    from eventstore_project.reactions import TIME_TO_PAY
    from projections import registry
    from projections.testing import run_due_timers
    from projections.workers.worker import Until, Worker

    def react() -> None:
        Worker([registry.get("fulfilment")], until=Until.CAUGHT_UP).run()

    with event_context(correlation_id="visit-2013", user="customer-7"):
        orders.handle("2001", Order.place, "customer-7", {"DESK-9": 2})
        orders.handle("2002", Order.place, "customer-7", {"MUG-1": 2})
        react()
        orders.handle("2001", Order.pay, "card")
        react()
    run_due_timers(timezone.now() + 2 * TIME_TO_PAY)
    react()
    camera.open(f"{reverse('admin:events_event_flow')}?correlation_id=visit-2013")
    camera.take("flow", 980)


def take_conflict(camera: Camera) -> None:
    """Append an event to an order while a user fills in the form for its next event."""
    from django.urls import reverse

    from events.models import Event
    from events.store import EventStore
    from events.types import NewEvent

    packed = Event.objects.of_types("ParcelPacked").order_by("-position")[0]
    camera.open(f"{reverse('admin:events_event_add')}?aggregate_id={packed.aggregate_id}")

    def fill_in(page: Any) -> None:
        page.locator("[name=type]").fill("ParcelShipped")
        page.locator("[name=data]").fill('{"carrier": "north", "tracking": "T001094"}')

    camera.do(fill_in)
    metadata = packed.metadata | {"actor": "warehouse", "causation_id": str(packed.event_id)}
    EventStore().dispatch(
        NewEvent(packed.aggregate_id, "OrderWithdrawn", {"reason": "ordered twice"}, metadata=metadata)
    )
    camera.do(lambda page: page.get_by_role("button", name="Append").click())
    camera.do(lambda page: page.get_by_role("heading", name="Events since you opened this form").wait_for())
    camera.take("append-conflict", 720)


def _order_with_a_story() -> str:
    """Return the last delivered order whose first payment was declined."""
    from events.models import Event

    failed = Event.objects.of_types("PaymentDeclined").values("aggregate_id")
    delivered = Event.objects.of_types("ParcelDelivered").filter(aggregate_id__in=failed)
    return delivered.order_by("-position")[0].aggregate_id


@contextmanager
def cameras() -> Iterator[Camera]:
    """Serve the site, and yield a camera whose browser is logged in."""
    from eventstore_project.management.commands.setup_demo import make_admin
    from tests.browser import Browser, Chromium

    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("Chromium is not installed: apt-get install chromium")
    with server() as (port, _), Chromium(chromium) as started, Browser(started) as browser:
        site = f"http://127.0.0.1:{port}"
        browser.log_in(make_admin(), site)
        yield Camera(browser, site)


def main() -> None:
    with database("eventstore_screenshots", "eventstore_project.settings"):
        set_the_scene()
        with cameras() as camera:
            take_pictures(camera)


if __name__ == "__main__":
    main()
