"""Helpers for the tests of the admin's pages, as the HTML has them."""

import re
from typing import Any
from urllib.parse import quote

from django.contrib.admin.utils import quote as admin_quote
from django.test import Client

EVENTS = "/admin/events/event/"
ADD = f"{EVENTS}add/"
PERMISSIONS = ["events.view_event", "events.view_aggregate", "events.add_event"]


def history_url(aggregate_id: str) -> str:
    return f"/admin/events/aggregate/{quote(admin_quote(aggregate_id))}/change/"


def page(client: Client, url: str, **parameters: Any) -> str:
    response = client.get(url, parameters or None, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def versions_on(html: str) -> list[int]:
    return [int(number) for number in re.findall(r'title="version (\d+)"', html)]


def positions_on(html: str) -> list[int]:
    """The positions of the list of events."""
    return [int(number) for number in re.findall(r'field-position"><a href="[^"]+">(\d+)<', html)]


def link_on(html: str, text: str) -> str:
    """The address behind a link, by a part of its text; nothing where there is none."""
    match = re.search(rf'<a href="([^"]*)"[^>]*>[^<]*{text}', html)
    return match[1].replace("&amp;", "&") if match else ""


def form_of(client: Client, aggregate_id: str = "") -> dict[str, str]:
    """The form's fields as a browser would send them back."""
    form = client.get(ADD, {"aggregate_id": aggregate_id}).context["form"]
    values = {name: form[name].value() for name in form.fields if name != "timestamp"}
    return {name: "" if value is None else str(value) for name, value in values.items()} | {"type": "Happened"}
