"""Fixtures of the store's tests."""

import pytest

from events.models import Event
from events.store import EventStore
from tests.support import new


@pytest.fixture
def event(store: EventStore) -> Event:
    return store.dispatch(new(data={"n": 1}))[0]
