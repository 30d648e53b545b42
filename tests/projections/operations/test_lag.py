"""The lag of projections: how many events are missing from the rows, and since when."""

import pytest

from events.store import EventStore
from projections.operations import lag, status
from projections.operations.actions import pause
from tests.projections.support import catch_up, tally
from tests.support import new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


def test_lag_counts_the_events_that_are_missing_from_the_rows(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    assert lag.reached("tally") == first.position
    assert (status.report("tally").lag_events, status.report("tally").lag_seconds) == (0, 0.0)
    pause("tally", by="x")
    last = store.dispatch(*[new("a-1", "Counted") for _ in range(5)])[-1]
    assert lag.reached("tally") == first.position
    assert lag.lag_events(first.position, last.position) == status.report("tally").lag_events == 5
    assert status.report("tally").lag_seconds > 0
    monkeypatch.setattr(lag, "MAX_COUNTED_LAG", 3)
    assert lag.lag_events(first.position, last.position) == 3


def test_open_append_holds_readers_back_and_shows_as_lag(store: EventStore) -> None:
    """Case of a writer that never ends: nothing is missed, and somebody gets to know."""
    catch_up("tally")
    before = status.report("tally").position

    with open_append(store, new("b-1", "Counted")):
        store.dispatch(new("a-1", "Counted"))
        catch_up("tally")
        found = status.report("tally")
        assert found.position <= before + 1
        assert found.lag_seconds > 0
    catch_up("tally")
    assert tally()["all"] == 2
