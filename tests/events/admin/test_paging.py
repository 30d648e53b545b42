"""Pages of the list of events begin at a position."""

import re

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


def test_list_jumps_to_a_position_and_to_a_moment(staff: Client, store: EventStore) -> None:
    events = store.dispatch(*some(80))
    positions = [event.position for event in events]
    assert positions_on(page(staff, EVENTS, at=str(positions[30])))[:2] == [positions[30], positions[29]]
    html = page(staff, EVENTS, at=f" {positions[30]} ", category="a")
    assert positions_on(page(staff, EVENTS + link_on(html, "Newer")))[-1] == positions[31]
    assert 'name="category" value="a"' in html
    later, earlier = "2999-01-01 00:00", "2000-01-01"
    assert positions_on(page(staff, EVENTS, at=later))[0] == positions[-1]
    assert positions_on(page(staff, EVENTS, at=earlier)) == []
    for nonsense in ("yesterday", "²", "-5", "2026-13-01"):
        html = page(staff, EVENTS, at=nonsense)
        assert "is neither a position nor a date and time such as 2026-11-23 14:00" in html
        assert positions_on(html)[0] == positions[-1]
    assert positions_on(page(staff, EVENTS, at="9" * 40))[0] == positions[-1]


def test_pages_are_linked_above_and_below_the_list(staff: Client, store: EventStore) -> None:
    store.dispatch(*some(60))
    html = page(staff, EVENTS)
    assert html.index("Older") < html.index('id="result_list"') < html.rindex("Older")


def test_search_keeps_the_filter_by_an_empty_category(staff: Client, store: EventStore) -> None:
    store.dispatch(new("-1"))
    (search,) = re.findall('<form id="changelist-search".*?</form>', page(staff, EVENTS, category=""), re.DOTALL)
    assert '<input type="hidden" name="category" value="">' in search
