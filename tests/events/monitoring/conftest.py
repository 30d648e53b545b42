"""Fixtures of the doctor's tests."""

import pytest
from django.db import connection

from events.integrity import seals
from events.monitoring import doctor
from events.store import EventStore
from tests.events.monitoring.support import beat
from tests.support import new, some


@pytest.fixture
def healthy(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store with events, and a worker that was there a moment ago. Dead rows are there from other tests."""
    monkeypatch.setattr(doctor, "MIN_DEAD_ROWS", 10**9)
    connection.cursor().execute("SET LOCAL synchronous_commit = on")  # the tests' database has it off
    store.dispatch(*some(3), new("b-1"))
    while seals.seal("default"):
        pass
    beat()
