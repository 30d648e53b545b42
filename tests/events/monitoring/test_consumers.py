"""Who gets the events of a type."""

from typing import Any

import pytest

from events.monitoring import consumers
from events.monitoring.consumers import Consumer
from events.store import EventStore


class Shop:
    def on_placed(self, event: Any, **kwargs: Any) -> None:
        pass


def test_subscribers_come_first_and_then_what_is_registered(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumers, "_finders", [])
    for _ in range(2):
        consumers.register(find)
    with store.subscribe("Placed", Shop().on_placed, on_commit=True):
        subscriber, queue = consumers.of_type("Placed", "default")
        assert consumers.of_type("Placed", "primary") == [queue]
        assert consumers.of_type("Paid", "default") == []
    assert subscriber == Consumer("subscriber", f"{__name__}.Shop.on_placed")
    assert queue == Consumer("queue", "work")


def find(event_type: str) -> list[Consumer]:
    return [Consumer("queue", "work")] if event_type == "Placed" else []
