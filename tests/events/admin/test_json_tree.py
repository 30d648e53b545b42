"""Data of any size and depth is shown."""

import re
from typing import Any

import pytest
from django.test import Client

from events.admin import json_tree
from events.store import EventStore
from tests.events.support import EVENTS, history_url, page, versions_on
from tests.support import new

pytestmark = pytest.mark.django_db


def test_large_data_is_cut_in_the_history_and_whole_on_its_page(staff: Client, store: EventStore) -> None:
    data = {"list": list(range(5000)), "text": "x" * 2000, "last": "end of it"}
    (event,) = store.dispatch(new(data=data), new("b-1", data={"text": data["text"]}))[:1]
    html = page(staff, history_url("a-1"))
    assert re.search(r"47\d\d more", html)
    assert len(html) < 100_000
    assert "1,400 more characters" in page(staff, history_url("b-1"))
    html = page(staff, f"{EVENTS}{event.position}/change/")
    assert "x" * 2000 in html
    assert "\n    4999\n" in html


def test_deep_data_is_shown(staff: Client, store: EventStore) -> None:
    def nested(value: Any) -> Any:
        for _ in range(250):
            value = [value]
        return value

    store.dispatch(new(data={"x": nested(1)}), new(data={"x": nested(2)}))
    assert versions_on(page(staff, history_url("a-1"))) == [2, 1]


def test_removed_values_count_as_values() -> None:
    before = {"kept": 1} | {f"removed-{n}": n for n in range(1000)}
    html = json_tree.tree({"kept": 1}, before, max_values=10)
    assert html.count("json-removed") == 9
    assert "more were removed" in html


def test_long_key_is_shortened() -> None:
    assert len(json_tree.tree({"k" * 100_000: 1})) < 2000
