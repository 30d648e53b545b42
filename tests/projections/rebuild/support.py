"""Helpers for the rebuilds' tests."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from events.models import Event


@contextmanager
def ending(event: threading.Event) -> Iterator[None]:
    """Let the threads in the background end, however the block does."""
    try:
        yield
    finally:
        event.set()


def expected_cases() -> tuple[list[Any], list[Any]]:
    """What the tables must hold, straight from the events."""
    last: dict[str, Event] = {}
    steps = []
    for event in Event.objects.order_by("aggregate_id", "version"):
        last[event.aggregate_id] = event
        steps.append((event.aggregate_id, event.version, event.type, event.data.get("org:resource")))
    return [(name, event.type, event.version) for name, event in sorted(last.items())], steps
