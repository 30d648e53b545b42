"""Pages of the list of events begin at a position."""

import pytest
from django.test import Client

from events.store import EventStore
from tests.events.support import EVENTS, link_on, page, positions_on
from tests.support import new, some

pytestmark = pytest.mark.django_db


def test_list_is_paged_by_position(staff: Client, store: EventStore) -> None:
    events = store.dispatch(*some(30, "a-1"), *some(90, "b-1"))
    newest_first = [event.position for event in reversed(events)]
    first = page(staff, EVENTS)
    assert positions_on(first) == newest_first[:50]
    assert not link_on(first, "Newer")
    assert "120 events" in first
    second = page(staff, EVENTS + link_on(first, "Older"))
    third = page(staff, EVENTS + link_on(second, "Older"))
    assert positions_on(second) + positions_on(third) == newest_first[50:]
    assert not link_on(third, "Older")
    store.dispatch(new("c-1"))  # does not move the others
    back = page(staff, EVENTS + link_on(third, "Newer"))
    assert positions_on(back) == positions_on(second)
    assert positions_on(page(staff, EVENTS + link_on(back, "Older"))) == positions_on(third)
    newest = page(staff, EVENTS + link_on(page(staff, EVENTS + link_on(back, "Newer")), "Newer"))
    assert len(positions_on(newest)) == 1
    assert not link_on(newest, "Newer")
    assert positions_on(page(staff, EVENTS + link_on(third, "Newest"))) == positions_on(page(staff, EVENTS))
