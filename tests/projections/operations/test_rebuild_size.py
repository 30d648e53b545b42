"""The size of a rebuild: the events that it reads, counted or estimated."""

import pytest
from django.db import connection

from events.store import EventStore
from projections.engine.registration import register_all
from projections.exceptions import UnknownProjection
from projections.models import ProjectionState
from projections.operations import rebuild_size as module
from projections.operations.rebuild_size import RebuildSize, rebuild_size
from tests.support import new, some

pytestmark = pytest.mark.django_db(transaction=True)


def test_only_the_events_that_it_handles_count(store: EventStore) -> None:
    first, *_ = store.dispatch(*[new(f"a-{n}", "Counted") for n in range(5)], *some(3))
    register_all()
    state = ProjectionState.objects.get(pk="tally")
    assert rebuild_size(state) == RebuildSize(5, is_estimate=False)
    state.start_position = first.position
    assert rebuild_size(state) == RebuildSize(4, is_estimate=False)
    with pytest.raises(UnknownProjection):
        rebuild_size(ProjectionState(name="gone"))


def test_many_events_are_estimated(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(*[new(f"a-{n}", "Counted") for n in range(500)])
    register_all()
    monkeypatch.setattr(module, "COUNTED_EVENTS", 100)
    connection.cursor().execute("ANALYZE events_event")
    size = rebuild_size(ProjectionState.objects.get(pk="tally"))
    assert size.is_estimate
    assert 400 <= size.events <= 600
    assert size.seconds == size.events / module.EVENTS_PER_SECOND
