"""The admin's list of aggregates."""

import pytest
from django.test import Client

from events.store import EventStore
from tests.events.support import EVENTS, history_url, page
from tests.support import new

pytestmark = pytest.mark.django_db


def test_lists_show_events_and_aggregates(staff: Client, store: EventStore) -> None:
    store.dispatch(new("order-1", "Placed", data={"total": 5}), new("user-1", "Born", data={"text": "<b>" * 50}))
    html = page(staff, EVENTS)
    assert all(text in html for text in ("order-1", "Placed", "&quot;total&quot;: 5", "user-1", "&lt;b&gt;"))
    assert "<b><b>" not in html
    assert "order-1" in page(staff, "/admin/events/aggregate/")


def test_unknown_aggregate_goes_back_with_a_message(staff: Client) -> None:
    assert "There is no aggregate &#x27;nobody&#x27;" in page(staff, history_url("nobody"))
