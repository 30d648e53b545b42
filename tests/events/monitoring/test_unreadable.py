"""The doctor lists events that Python cannot represent."""

from typing import Any

import pytest

from events.monitoring import unreadable
from events.store import EventStore
from tests.support import UNREADABLE, new, some, store_unchecked

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_events_that_cannot_be_read_are_listed(store: EventStore, field: str, text: str) -> None:
    store.dispatch(*some(70))
    first = store_unchecked(**{field: text})
    store.dispatch(*some(70), new(data={"text": "9" * 5000, "more": [[]] * 500}))
    second = store_unchecked(**{field: text})
    found = list(unreadable.unreadable("default"))
    assert len(found) == 2
    for finding, position in zip(found, (second, first), strict=True):
        assert f"at position {position} cannot be read: {field} " in finding.problem
        assert f"read_all(after={position})" in finding.remedy


def test_search_ends_after_its_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setattr(unreadable, "SECONDS", 0.0)
    monkeypatch.setattr(unreadable, "_suspects", lambda *each: calls.append(each) or [])
    store.dispatch(*some(2))
    assert list(unreadable.unreadable("default")) == []
    assert calls == []
