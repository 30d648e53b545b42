"""Fixtures of the seals' tests."""

from datetime import UTC, datetime

import pytest

from events.integrity import seals
from events.models import Event
from events.store import EventStore
from tests.events.integrity.support import seal_all
from tests.support import new


@pytest.fixture
def sealed(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> list[Event]:
    """Twelve events of three aggregates, under seals of five."""
    monkeypatch.setattr(seals, "MAX_SEALED_EVENTS", 5)
    happened = datetime(2030, 1, 31, 12, 0, 0, 500, tzinfo=UTC)
    for n in range(4):
        for name in ("a-1", "b-1", "c-1"):
            store.dispatch(
                new(name, "Happened", data={"n": n, "é": [1.5, None]}, timestamp=happened, metadata={"by": n})
            )
    seal_all()
    return list(Event.objects.order_by("position"))
