"""Parked events in the admin."""

from collections.abc import Callable

import pytest
from django.test import Client

from events.store import EventStore
from projections.admin import parked_aggregates
from projections.models import ParkedEvent
from tests.projections.admin.support import PARKED, act, break_some, logged, page_of, read
from tests.projections.support import notes
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


def test_retry_from_the_list_of_parked_events(
    operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_some(store, aggregates=2, waiting=0)
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    first = ParkedEvent.objects.earliest("position")
    assert "1 parked event of a-0 handled, 0 still parked" in act(operator, PARKED, "retry", first.pk)
    assert notes() == [("a-0", 1)]
    assert logged() == ["Retry: Projection fragile: 1 parked event of a-0 handled, 0 still parked. Reason: none given"]


def test_parked_events_are_shown_with_what_they_hold_up(client_of: Callable[..., Client], store: EventStore) -> None:
    break_some(store, aggregates=2, waiting=parked_aggregates.MAX_WAITING + 3)
    failed, waiting = ParkedEvent.objects.filter(aggregate_id="a-0").order_by("position")[:2]
    reader = client_of(
        *("projections.view_projectionstate", "projections.view_parkedevent"),
        *("events.view_event", "events.view_aggregate"),
    )
    for path in (page_of("fragile"), f"{PARKED}{failed.pk}/change/"):
        page = read(reader, path)
        assert "in check" in page  # of the traceback
        assert "and 3 more" in page
        assert page.count("Waiting behind it, because") == (2 if path == page_of("fragile") else 1)
        assert f"/admin/events/event/{failed.position}/change/" in page
        assert f"/admin/events/event/{waiting.position}/change/" in page
        assert "/admin/events/aggregate/a-0/change/" in page
        assert "opensesame" not in page
    page = read(reader, f"{PARKED}{waiting.pk}/change/")
    assert f"{PARKED}{failed.pk}/change/" in page
    assert "cannot handle 1" in page
