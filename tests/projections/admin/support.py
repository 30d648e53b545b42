"""Helpers for the tests of the projections' admin."""

import re
from typing import Any

from django.contrib.admin.models import LogEntry
from django.test import Client

from events.store import EventStore
from tests.projections.support import catch_up
from tests.support import new

LIST = "/admin/projections/projectionstate/"
PARKED = "/admin/projections/parkedevent/"


def act(client: Client, path: str, action: str, *keys: Any, reason: str = "", back: str = "") -> str:
    data = {"action": action, "_selected_action": keys, "reason": reason, "back": back, "confirmed": "1"}
    return client.post(path, data, follow=True).content.decode()


def page_of(name: str) -> str:
    return f"{LIST}{name}/change/"


def read(client: Client, path: str) -> str:
    page = client.get(path)
    assert page.status_code == 200
    return page.content.decode()


def acts_offered(page: str) -> list[str]:
    return re.findall(r'name="action" value="(\w+)"', page)


def logged() -> list[str]:
    """What the admin's log says, oldest first."""
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def break_some(store: EventStore, aggregates: int = 1, waiting: int = 1) -> None:
    """Have `fragile` park an event of each aggregate, and the ones behind it."""
    for n in range(aggregates):
        store.dispatch(
            new(f"a-{n}", "Fragile", data={"poison": n + 1, "secret": "opensesame"}),
            *[new(f"a-{n}", "Fragile", data={"secret": "opensesame"}) for _ in range(waiting)],
        )
    catch_up("fragile")
