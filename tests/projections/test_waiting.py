"""Reading your own writes, and how projections say how they are."""

import time

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from rest_framework.test import APIClient

from events.store import EventStore
from projections.exceptions import NotCaughtUp, UnknownProjection, WaitsForItself
from projections.operations import actions
from projections.waiting import await_for, wait_for
from tests.projections.support import catch_up, tally
from tests.support import Background, Wait, new, open_append

pytestmark = pytest.mark.django_db(transaction=True)


def test_wait_returns_once_the_projection_is_there(store: EventStore) -> None:
    catch_up("tally")
    (event,) = store.dispatch(new("a-1", "Counted"))
    with Background(lambda: wait_for("tally", event.position, 20)) as waiting:
        catch_up("tally")
        Wait.until(lambda: waiting.result)
    assert waiting.result >= event.position
    assert tally()["all"] == 1


def test_wait_that_takes_too_long_says_how_far_it_is(store: EventStore) -> None:
    catch_up("tally")
    *_, last = store.dispatch(*[new("a-1", "Counted") for _ in range(3)])
    actions.pause("tally", by="x")
    with pytest.raises(NotCaughtUp, match=r"3 events before \d+; its status is paused") as caught:
        wait_for("tally", last.position, 0.05)
    assert caught.value.lag_events == 3
    with pytest.raises(UnknownProjection):
        wait_for("nothing", 1)


def test_inline_projection_is_there_at_once_though_another_writer_holds_the_settled_position(store: EventStore) -> None:
    with open_append(store, new("b-1")):
        (event,) = store.dispatch(new("a-1"))
        assert store.settled_position() < event.position
        assert wait_for("aggregate_activity", event.position, 0) == event.position


def test_wait_from_a_coroutine() -> None:
    assert async_to_sync(await_for)("aggregate_activity", 0, 1) >= 0


def test_transaction_that_waits_for_its_own_event_is_told_at_once(store: EventStore) -> None:
    (before,) = store.dispatch(new("a-1", "Counted"))
    with transaction.atomic():
        with pytest.raises(NotCaughtUp) as timed_out:  # it has not appended: a worker may do it meanwhile
            wait_for("tally", before.position, 0.05)
        (event,) = store.dispatch(new("a-1", "Counted"))
        started = time.monotonic()
        with pytest.raises(WaitsForItself, match=r"2 events before .* Wait after the commit"):
            wait_for("tally", event.position, 20)
        with pytest.raises(NotCaughtUp) as of_another:
            wait_for("tally", before.position, 0.05)
        assert wait_for("aggregate_activity", event.position, 20) == event.position
        assert time.monotonic() - started < 10
    for error in (timed_out.value, of_another.value):
        assert not isinstance(error, WaitsForItself)


@pytest.mark.django_db(transaction=False)
def test_read_over_http_inside_a_test_case_says_what_to_use(api: APIClient, store: EventStore) -> None:
    (event,) = store.dispatch(new("a-1", "Counted"))
    answer = api.get("/api/read-models/event-type-activity/", {"at_least": event.position})
    assert answer.status_code == 503
    assert "eager_events of events.testing" in answer.json()["detail"]
