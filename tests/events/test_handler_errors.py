"""The mark on errors of handlers."""

from typing import Any

import pytest

from events.exceptions import VersionConflict
from events.handler_errors import failure
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db


def test_mark_names_the_event_and_its_place_in_the_call(store: EventStore) -> None:
    def fail(**kwargs: Any) -> None:
        raise OSError("handler")

    store.subscribe("B", fail)
    with pytest.raises(OSError, match="handler") as caught:
        store.dispatch(new("a-1", "A"), new("b-1", "B"), new("b-1", "B"))
    found = failure(caught.value)
    assert found
    assert (found.event.aggregate_id, found.event.version, found.index) == ("b-1", 1, 1)


def test_mark_of_the_outermost_dispatch_remains(store: EventStore) -> None:
    store.subscribe("A", lambda event, **kwargs: store.dispatch(new("b-1", "B")))
    store.subscribe("B", lambda event, **kwargs: store.dispatch(new("c-1", "C"), expected_version=7))
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new("a-1", "X"), new("a-2", "A"))
    found = failure(caught.value)
    assert found
    assert (found.event.aggregate_id, found.index) == ("a-2", 1)


def test_errors_of_the_call_itself_have_no_mark(store: EventStore) -> None:
    store.subscribe("A", lambda **kwargs: None)
    with pytest.raises(VersionConflict) as caught:
        store.dispatch(new("a-1", "A"), expected_version=3)
    assert failure(caught.value) is None
