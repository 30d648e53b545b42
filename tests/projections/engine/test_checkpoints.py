"""Checkpoints move past events that a projection does not handle."""

import pytest

from events.store import EventStore
from projections.operations import status
from tests.projections.support import catch_up, instance
from tests.readmodels.models import Total
from tests.readmodels.projections import Tally
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_selective_projection_moves_past_other_events(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tally, "batch_events", 10)
    store.dispatch(*[new("a-1", "Other") for _ in range(30)], new("a-1", "Counted"), new("a-1", "Other"))
    catch_up("tally")
    found = status.report("tally")
    assert found.position == store.settled_position()
    assert found.lag_events == 0
    assert Total.objects.get(key="all").count == 1
    assert instance(Tally).wanted_types() == ["Counted"]
