"""Operators fire, cancel and move timers, on the record, also when the reaction is paused or gone."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone

from events.models import Event
from projections import registry
from projections.exceptions import OperationRejected, UnknownProjection
from projections.models import Operation, Timer
from projections.operations import actions
from projections.reactions import Actions, firing, operating
from tests.projections.reactions.support import (
    Answers,
    Reminded,
    Reminds,
    add_timers,
    in_thread,
    registered,
    reminders,
    store,
)
from tests.projections.support import catch_up
from tests.support import Wait, somebody_waits_for_us

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    with registered(Reminds, Answers):
        catch_up("reminds", "answers")
        yield


def keys(reaction: str = "reminds") -> list[str]:
    return sorted(Timer.objects.of(reaction).values_list("key", flat=True))


def test_fire_stores_the_event_with_the_present_as_its_time() -> None:
    add_timers(2, timezone.now() + HOUR)
    actions.pause("reminds", by="x")
    assert operating.fire("reminds", ["k1"], by="ada", reason="asked by phone") == 1
    (reminded,) = reminders()
    assert reminded.payload.number == 1
    assert abs(reminded.timestamp - reminded.recorded_at) < timedelta(seconds=5)
    assert keys() == ["k0"]
    record = Operation.objects.get(action="fire timers")
    assert (record.projection, record.by, record.reason) == ("reminds", "ada", "asked by phone")
    assert record.outcome.startswith("k1 (due ")


def test_fire_keeps_the_time_of_a_timer_that_is_due() -> None:
    add_timers(1, timezone.now() - HOUR)
    due_at = Timer.objects.get().due_at
    operating.fire("reminds", ["k0"], by="x")
    assert reminders()[0].timestamp == due_at


def test_rejected_event_stays_a_timer() -> None:
    add_timers(2)

    def reject(event: Event, **kwargs: Any) -> None:
        raise LookupError("no")

    with (
        store.subscribe(Reminded, reject),
        pytest.raises(OperationRejected, match="nothing has changed: LookupError: no"),
    ):
        operating.fire("reminds", ["k0", "k1"], by="x")
    assert keys() == ["k0", "k1"]
    assert not Operation.objects.exists()


def test_cancel_deletes_some_or_all() -> None:
    add_timers(30)
    assert operating.cancel("reminds", ["k3", "gone"], by="x") == 1
    assert operating.cancel("reminds", None, by="x", reason="over") == 29
    assert not Timer.objects.exists()
    assert not reminders()
    of_all = Operation.objects.earliest("-at")
    assert of_all.outcome.count("(due ") == operating.MAX_NAMED
    assert of_all.outcome.endswith("…")


def test_timer_that_fires_at_this_moment_cannot_be_cancelled() -> None:
    add_timers(1)
    errors: list[OperationRejected] = []

    def cancel() -> None:
        try:
            operating.cancel("reminds", ["k0"], by="x")
        except OperationRejected as error:
            errors.append(error)

    with transaction.atomic():
        firing.store(firing.take_due("reminds", timezone.now(), 1))
        thread = in_thread(cancel)
        Wait.until(somebody_waits_for_us)
    thread.join()
    assert "it may have fired or been cancelled" in str(errors[0])
    assert not Operation.objects.exists()


def test_timer_that_is_cancelled_at_this_moment_cannot_be_fired() -> None:
    add_timers(1)
    errors: list[Exception] = []

    def fire() -> None:
        try:
            operating.fire("reminds", ["k0"], by="x")
        except OperationRejected as error:
            errors.append(error)

    with transaction.atomic():
        assert Actions("reminds").cancel("k0")
        thread = in_thread(fire)
        Wait.until(somebody_waits_for_us)
    thread.join()
    assert "it may have fired or been cancelled" in str(errors[0])
    assert not reminders()


@pytest.mark.parametrize("operation", [operating.fire, operating.cancel])
def test_unknown_timer_is_rejected(operation: Any) -> None:
    with pytest.raises(OperationRejected, match="'reminds' has no timer 'k9'; it may have fired or been cancelled"):
        operation("reminds", ["k9"], by="x")
    with pytest.raises(OperationRejected, match="'reminds' has no timers"):
        operating.cancel("reminds", None, by="x")


def test_timers_of_a_renamed_reaction_are_moved_and_fire() -> None:
    add_timers(3, reaction="reminded_before")
    assert not registry.has_reaction("reminded_before")
    catch_up("reminds")
    assert not reminders()
    assert operating.move("reminded_before", "reminds", by="ada") == 3
    catch_up("reminds")
    assert len(reminders()) == 3
    assert {event.metadata["reaction"] for event in reminders()} == {"reminds"}
    assert Operation.objects.get().outcome.startswith("from reminded_before: k2 (due ")


def test_name_of_a_reaction_that_handlers_gave_is_kept_in_a_move() -> None:
    add_timers(1, reaction="before")
    Timer.objects.update(metadata={"reaction": "own"})
    operating.move("before", "reminds", by="x")
    assert Timer.objects.get().metadata == {"reaction": "own"}


def test_moves_that_make_no_sense_are_rejected() -> None:
    add_timers(2, reaction="before")
    add_timers(1)
    with pytest.raises(OperationRejected, match=r"the same keys. Cancel those of one of the two: k0$"):
        operating.move("before", "reminds", by="x")
    with pytest.raises(OperationRejected, match="'reminds' is still in the code"):
        operating.move("reminds", "answers", by="x")
    with pytest.raises(OperationRejected, match="'tally' is a projection; only reactions have timers"):
        operating.move("before", "tally", by="x")
    with pytest.raises(UnknownProjection):
        operating.move("before", "after", by="x")
    with pytest.raises(OperationRejected, match="'nobody' has no timers"):
        operating.move("nobody", "answers", by="x")
    assert not Operation.objects.exists()


def test_forgotten_reaction_keeps_its_timers() -> None:
    add_timers(2, timezone.now() + HOUR)
    registry.unregister(Reminds)
    actions.forget("reminds")
    assert not registry.has_reaction("reminds")
    assert operating.fire("reminds", ["k0"], by="x") == 1
    assert operating.cancel("reminds", None, by="x") == 1
    assert {record.version for record in Operation.objects.all()} == {0}
