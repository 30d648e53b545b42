"""The doctor's diagnostics of projections."""

import pytest
from django.db import connection, transaction

from events.store import EventStore
from projections.models import Timer
from projections.operations import actions
from projections.workers.worker import Until, Worker
from tests.events.monitoring.support import MAINTAIN, findings
from tests.projections.reactions.support import Reminds, add_timers, registered
from tests.support import new

pytestmark = pytest.mark.django_db


@pytest.mark.django_db(transaction=True)
def test_projections_are_looked_at(store: EventStore) -> None:
    store.dispatch(new("a-1", "Fragile", data={"poison": 1}))
    Worker(until=Until.CAUGHT_UP).run()
    actions.pause("tally", by="me", reason="a look")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{MAINTAIN} UPDATE events_event SET recorded_at = now() - interval '2 hours'")
    found = {finding.problem: finding.remedy for finding in findings()}
    (parked,) = [problem for problem in found if "1 event is parked: Broken" in problem]
    assert "projection fragile" in parked
    assert "retry_parked fragile" in found[parked]
    store.dispatch(new("a-2"))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{MAINTAIN} UPDATE events_event SET recorded_at = now() - interval '2 hours'")
    found = {finding.problem: finding.remedy for finding in findings()}
    (paused,) = [problem for problem in found if "projection tally: it lags 7" in problem]
    assert "(by me: a look)" in paused
    assert "resume_projection tally" in found[paused]


def test_timers_that_cannot_fire_are_named() -> None:
    with registered(Reminds):
        add_timers(3)
        assert not [finding for finding in findings() if "timer" in finding.problem]
        Timer.objects.filter(key="k1").update(next_attempt_at=None, error="LookupError: no")
        add_timers(1, reaction="before")
        found = {finding.problem: finding.remedy for finding in findings() if "timer" in finding.problem}
    gone = "reaction before has timers, but its code is gone: they never fire"
    assert found.keys() == {gone, "reaction reminds: 1 timer was rejected: LookupError: no"}
    assert "move_timers before TO" in found[gone]
