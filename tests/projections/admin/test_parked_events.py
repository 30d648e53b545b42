"""Parked events in the admin."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from events.store import EventStore
from projections import registry
from projections.admin import parked_aggregates
from projections.models import ParkedEvent
from projections.workers.worker import Until, Worker
from tests.projections.admin.support import LIST, PARKED, act, break_some, logged, page_of, read
from tests.projections.support import notes
from tests.readmodels.projections import Fragile
from tests.support import new

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


def test_pages_tell_retried_events_from_parked_ones(
    client_of: Callable[..., Client], operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_some(store, aggregates=1, waiting=1)
    monkeypatch.setattr(Fragile, "retry_delays_seconds", (3600,))
    store.dispatch(new("b-1", "Fragile", data={"poison": 7}))
    Worker(registry.named(["fragile"]), until=Until.ONCE).run()
    reader = client_of("projections.view_projectionstate", "projections.view_parkedevent")
    states = re.findall(r'field-state">(?:<[^>]*>)*([a-z ]+)', read(reader, PARKED))
    assert states == ["parked", "waiting", "retrying at "]
    page = read(reader, page_of("fragile"))
    assert "<dt>Retrying</dt>" in page
    assert "1, next at" in page
    assert "retrying at <time" in page
    assert "1 retrying" in read(reader, LIST)
    retried = ParkedEvent.objects.get(aggregate_id="b-1")
    page = read(reader, f"{PARKED}{retried.pk}/change/")
    assert 'board-warning">retrying' in page
    assert "Next attempt" in page
    # An operator need not wait for the retry.
    monkeypatch.setattr(Fragile, "check", lambda self, event: None)
    assert "1 parked event of b-1 handled, 0 still parked" in act(operator, PARKED, "retry", retried.pk)
