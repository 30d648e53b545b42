"""The shipped projections."""

from datetime import UTC, datetime

import pytest
from django.core.management import call_command

from events.models import Seal
from events.store import EventStore
from projections import registry
from projections.models import Checkpoint, DailyActivity, ParkedEvent
from projections.projections import DailyActivityProjection, SealsProjection
from projections.workers.worker import Until, Worker
from tests.events.integrity.support import verify
from tests.support import UNREADABLE, new, some, store_unchecked

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_workers_seal(store: EventStore) -> None:
    store.dispatch(*some(3))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    store.dispatch(*some(4))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    assert [seal.events for seal in Seal.objects.order_by("position")] == [3, 4]
    assert verify().events == 7


@pytest.mark.django_db(transaction=True)
def test_events_that_cannot_be_read_are_sealed(store: EventStore) -> None:
    """And so are the later events of their aggregate."""
    store_unchecked(data=UNREADABLE["digits"][1])
    store_unchecked()
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    assert not ParkedEvent.objects.exists()
    assert verify().events == 2


@pytest.mark.django_db(transaction=True)
def test_rebuild_makes_no_other_seals(store: EventStore) -> None:
    """Otherwise a user with the right to rebuild could make seals that match tampered events."""
    store.dispatch(*some(3))
    Worker([registry.get("seals")], until=Until.CAUGHT_UP).run()
    before = list(Seal.objects.values())
    call_command("rebuild_projection", "seals", yes=True, verbosity=0)
    assert list(Seal.objects.values()) == before
    assert Checkpoint.objects.get(projection="seals").position > 0
    assert SealsProjection.models == ()


@pytest.mark.parametrize("batch", [1, 2, 7, 100])
def test_day_has_a_limited_number_of_categories_whatever_the_batches(
    store: EventStore, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bare UUIDs as aggregate ids would make a row for each of them."""
    monkeypatch.setattr("projections.projections.MAX_DAILY_CATEGORIES", 3)
    days = [datetime(2030, 1, day, tzinfo=UTC) for day in (1, 2)]
    names = ["order-1", "a", "b", "c", "order-2", "d", "a", "c", "order-1"]
    store.dispatch(
        *(new(name, timestamp=days[0]) for name in names), *(new(name, timestamp=days[1]) for name in "dcba")
    )
    projection, events = DailyActivityProjection(), list(store.read_all())
    for first in range(0, len(events), batch):
        projection.project_batch(events[first : first + batch])
    rows = DailyActivity.objects.order_by("day", "category").values_list("day__day", "category", "event_count")
    assert list(rows) == [
        (1, "-", 3),
        (1, "a", 2),
        (1, "b", 1),
        (1, "order", 3),
        (2, "-", 1),
        (2, "b", 1),
        (2, "c", 1),
        (2, "d", 1),
    ]
