"""Writers that commit out of order, and a reader that follows them."""

import random
import threading
import time
from collections.abc import Callable

from django.db import transaction

from events.store import EventStore
from tests.support import new, some


def write_out_of_order(stop: threading.Event, seed: int, using: str = "default") -> None:
    """Append in transactions that overlap: some pause before they commit, some roll back, some do so in part."""
    store, chance = EventStore(using), random.Random(seed)
    while not stop.is_set():
        with transaction.atomic(using):
            store.dispatch(*some(chance.choice((1, 1, 1, 5)), f"a-{chance.randrange(1000)}"))
            if chance.random() < 0.1:
                with transaction.atomic(using):
                    store.dispatch(new(f"b-{seed}"))
                    transaction.set_rollback(True, using)
                store.dispatch(new(f"b-{seed}"))
            if chance.random() < 0.3:
                time.sleep(chance.random() * 0.03)
            if chance.random() < 0.1:
                transaction.set_rollback(True, using)


def follow(read: Callable[[int], list[int]], stop: threading.Event) -> list[int]:
    """Collect positions as a subscriber does, from the last one seen on, until the writers are done and all is read."""
    seen: list[int] = []
    while not stop.is_set() or read(seen[-1] if seen else 0):
        seen += read(seen[-1] if seen else 0)
    return seen
