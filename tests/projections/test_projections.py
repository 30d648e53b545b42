"""The shipped projection that seals."""

import pytest
from django.core.management import call_command

from events.models import Seal
from events.store import EventStore
from projections import registry
from projections.models import Checkpoint, ParkedEvent
from projections.projections import SealsProjection
from projections.workers.worker import Until, Worker
from tests.events.integrity.support import verify
from tests.support import UNREADABLE, some, store_unchecked

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
