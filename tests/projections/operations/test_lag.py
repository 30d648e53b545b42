"""The lag of projections."""

import pytest

from events.store import EventStore
from projections.operations import status
from tests.projections.support import catch_up, tally
from tests.support import new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


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
