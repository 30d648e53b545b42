"""Timers fire once, oldest first, when their reaction has handled what was stored before they were due."""

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from events.types import NewEvent
from projections.models import Operation, ProjectionState, Status, Timer
from projections.operations import actions
from projections.reactions import Actions, firing, moving, operating
from projections.registry import get
from tests import FULL
from tests.projections.reactions.support import (
    Answered,
    Asked,
    Reminded,
    Reminds,
    add_timers,
    cancelled,
    in_thread,
    registered,
    reminders,
    store,
)
from tests.projections.support import catch_up
from tests.support import Wait, process_on_test_database, somebody_waits_for_us

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
WORKER = """
import django
django.setup()
from projections import registry
from projections.workers.worker import Worker
from projections.workers.supervisor import stop_on_signals
from tests.projections.reactions.support import Reminds
registry.register(Reminds)
worker = Worker(registry.named(["reminds"]))
with stop_on_signals(worker.stop):
    worker.run()
"""


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    cancelled.clear()
    with registered(Reminds):
        catch_up("reminds")
        yield


def ask_before(age: timedelta, *numbers: int) -> list[Event]:
    then = timezone.now() - age
    return store.dispatch(*[NewEvent("question-1", Asked(number=number), timestamp=then) for number in numbers])


@contextmanager
def rejecting(should_reject: Callable[[Event], bool]) -> Iterator[None]:
    def reject(event: Event, **kwargs: Any) -> None:
        if should_reject(event):
            raise LookupError("not this one")

    with EventStore().subscribe(Reminded, reject):
        yield


def test_due_timer_stores_its_event_once_with_the_time_at_which_it_was_due() -> None:
    ask_before(2 * HOUR, 1)
    catch_up("reminds")
    catch_up("reminds")
    (reminded,) = reminders()
    (asked,) = store.read_all(types=Asked)
    assert reminded.timestamp == asked.timestamp + HOUR
    assert reminded.recorded_at > reminded.timestamp
    assert reminded.metadata == {
        "correlation_id": str(asked.event_id),
        "causation_id": str(asked.event_id),
        "reaction": "reminds",
        "timer": "question-1:1",
    }
    assert not Timer.objects.exists()


def test_timer_that_is_not_due_waits() -> None:
    ask_before(HOUR / 2, 1)
    catch_up("reminds")
    assert not reminders()
    Timer.objects.update(next_attempt_at=timezone.now())
    catch_up("reminds")
    assert len(reminders()) == 1


def test_timers_that_were_due_while_the_workers_were_down_fire_once_and_oldest_first() -> None:
    for number, age in enumerate((3 * HOUR, 30 * HOUR, 2 * HOUR, 40 * HOUR)):
        ask_before(age, number)
    catch_up("reminds")
    catch_up("reminds")
    assert [event.payload.number for event in reminders()] == [3, 1, 0, 2]
    times = [event.timestamp for event in reminders()]
    assert times == sorted(times)


def test_event_that_cancels_in_time_does_so_even_if_it_is_handled_after_the_due_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The workers were down from before the answer until after the timer was due."""
    monkeypatch.setattr(Reminds, "batch_events", 1)
    ask_before(HOUR - timedelta(seconds=0.3), 1)
    for _ in range(5):
        ask_before(HOUR / 2, 7)
    store.dispatch(NewEvent("question-1", Answered(number=1)))
    Wait().until(lambda: timezone.now() > store.get_events_for_aggregate("question-1")[0].timestamp + HOUR)
    catch_up("reminds")
    assert cancelled == [True]
    assert not reminders()


def test_event_that_comes_after_the_due_time_cancels_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reminds, "batch_events", 1)
    ask_before(2 * HOUR, 1)
    store.dispatch(NewEvent("question-1", Answered(number=1)))
    catch_up("reminds")
    assert len(reminders()) + cancelled.count(True) == 1  # each of the two was due before the other was stored


@pytest.mark.parametrize("status", [Status.PAUSED, Status.STOPPED])
def test_timers_of_a_reaction_that_does_not_run_wait(status: Status) -> None:
    ask_before(HOUR / 2, 1)
    catch_up("reminds")
    Timer.objects.update(next_attempt_at=timezone.now())
    ProjectionState.objects.filter(name="reminds").update(status=status)
    catch_up("reminds")
    assert firing.fire_due(get("reminds")) == 0
    actions.resume("reminds", by="x")
    catch_up("reminds")
    assert len(reminders()) == 1


def test_rejected_event_is_retried_and_holds_back_no_other_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reminds, "retry_delays_seconds", (3600, 7200))
    monkeypatch.setattr(Reminds, "deterministic_errors", ())
    ask_before(3 * HOUR, 1)
    ask_before(2 * HOUR, 2)
    with rejecting(lambda event: event.payload.number == 1):
        catch_up("reminds")
        assert [event.payload.number for event in reminders()] == [2]
        timer = Timer.objects.get()
        assert (timer.key, timer.attempts, timer.error) == ("question-1:1", 1, "LookupError: not this one")
        assert timer.next_attempt_at
        assert timer.next_attempt_at > timezone.now() + HOUR / 2
        for _ in range(2):
            Timer.objects.update(next_attempt_at=timezone.now())
            catch_up("reminds")
    timer = Timer.objects.get()
    assert (timer.attempts, timer.next_attempt_at) == (3, None)
    assert list(Timer.objects.failed()) == [timer]
    catch_up("reminds")
    assert len(reminders()) == 1


def test_many_rejected_events_do_not_keep_the_worker_from_its_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firing, "ONE_BY_ONE_SECONDS", 0.05)
    monkeypatch.setattr(Reminds, "retry_delays_seconds", ())
    add_timers(100)
    with rejecting(lambda event: True):
        assert 0 < firing.fire_due(get("reminds")) < 100
        catch_up("reminds")
    assert Timer.objects.failed().count() == 100


def test_event_that_breaks_the_connection_each_time_holds_back_no_other_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reminds, "retry_delays_seconds", (3600,))
    add_timers(3)

    def break_it(event: Event, **kwargs: Any) -> None:
        if event.payload.number == 2:  # the first one that is due
            connection.connection.close()
            raise OperationalError("lost")

    reaction = get("reminds")
    with EventStore().subscribe(Reminded, break_it):
        for _ in range(2):
            with pytest.raises(OperationalError):
                firing.fire_due(reaction)
            connection.close()
        assert firing.fire_due(reaction) == 3
    assert [event.payload.number for event in reminders()] == [1, 0]
    timer = Timer.objects.get()
    assert (timer.key, timer.attempts) == ("k2", 1)
    assert firing._outages == {}


def test_event_whose_data_no_longer_fits_its_type_is_rejected() -> None:
    ask_before(HOUR / 2, 1)
    catch_up("reminds")
    Timer.objects.update(next_attempt_at=timezone.now(), data={"number": "many"})
    catch_up("reminds")
    timer = Timer.objects.get()
    assert "InvalidEvent" in timer.error or "number" in timer.error
    assert timer.attempts == 1


def test_rewind_fires_nothing_twice_and_send_again_does() -> None:
    ask_before(2 * HOUR, 1)
    ask_before(HOUR / 2, 2)
    catch_up("reminds")
    assert [timer.key for timer in Timer.objects.all()] == ["question-1:2"]
    moving.rewind("reminds", 1, by="x")
    assert not Timer.objects.exists()
    catch_up("reminds")
    assert [timer.key for timer in Timer.objects.all()] == ["question-1:2"]
    assert len(reminders()) == 1
    moving.rewind("reminds", 1, by="x", send_again=True)
    catch_up("reminds")
    assert [event.payload.number for event in reminders()] == [1, 1]
    assert Operation.objects.count() == 2


def test_rewind_schedules_no_timer_that_an_operator_has_fired() -> None:
    ask_before(HOUR / 2, 1)
    catch_up("reminds")
    operating.fire("reminds", ["question-1:1"], by="x")
    moving.rewind("reminds", 1, by="x")
    catch_up("reminds")
    assert not Timer.objects.exists()
    assert len(reminders()) == 1


def test_timer_whose_event_is_stored_already_is_dropped() -> None:
    ask_before(HOUR / 2, 1)
    catch_up("reminds")
    (timer,) = Timer.objects.all()
    store.dispatch(NewEvent("other-1", "Other", event_id=timer.event_id))
    Timer.objects.update(next_attempt_at=timezone.now())
    catch_up("reminds")
    assert not Timer.objects.exists()
    assert not reminders()


def test_cancel_and_due_at_once_when_the_timer_fires_first() -> None:
    """The cancellation waits for the row, and finds nothing."""
    add_timers(1)
    results: list[bool] = []
    with transaction.atomic():
        firing.store(firing.take_due("reminds", timezone.now(), 10))
        thread = in_thread(lambda: results.append(Actions("reminds").cancel("k0")))
        Wait().until(somebody_waits_for_us)
    thread.join()
    assert results == [False]
    assert len(reminders()) == 1


def test_cancel_and_due_at_once_when_the_pass_cancels_first() -> None:
    """The firing skips the row, and does not wait for the pass."""
    add_timers(2)
    with transaction.atomic():
        assert Actions("reminds").cancel("k0") is True
        thread = in_thread(lambda: firing.fire_due(get("reminds")))
        thread.join(10)
        assert not thread.is_alive()
    assert [event.payload.number for event in reminders()] == [1]
    assert not Timer.objects.exists()


def test_pass_that_is_rolled_back_leaves_the_timer_that_it_cancelled() -> None:
    add_timers(1)
    with pytest.raises(LookupError), transaction.atomic():
        assert Actions("reminds").cancel("k0") is True
        raise LookupError
    assert firing.fire_due(get("reminds")) == 1


def test_one_worker_fires_at_a_time_so_the_oldest_come_first() -> None:
    add_timers(3)
    with transaction.atomic():
        assert firing.lock_running("reminds")
        fired: list[int] = []
        thread = in_thread(lambda: fired.append(firing.fire_due(get("reminds"))))
        thread.join(10)
    assert fired == [0]
    assert firing.fire_due(get("reminds")) == 3


def test_pause_waits_for_the_timers_that_are_firing() -> None:
    add_timers(1)
    with transaction.atomic():
        assert firing.lock_running("reminds")
        firing.store(firing.take_due("reminds", timezone.now(), 10))
        thread = in_thread(lambda: actions.pause("reminds", by="x"))
        Wait().until(somebody_waits_for_us)
        assert ProjectionState.objects.get(name="reminds").status == Status.RUNNING
    thread.join()
    assert ProjectionState.objects.get(name="reminds").status == Status.PAUSED


def test_many_timers_due_at_once_fire_in_batches_with_flat_memory() -> None:
    batches = 20 if FULL else 6
    add_timers(batches * firing.BATCH_TIMERS)
    reaction, sizes, peaks = get("reminds"), [], []
    for batch in range(batches):
        if batch in (1, batches - 1):  # after what is loaded once; tracing all of them would take half a minute
            tracemalloc.start()
        sizes.append(firing.fire_due(reaction))
        if tracemalloc.is_tracing():
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert sizes == [firing.BATCH_TIMERS] * batches
    assert max(peaks) < 10_000_000
    assert firing.fire_due(reaction) == 0
    numbers = [event.payload.number for event in reminders()]
    assert numbers == list(range(batches * firing.BATCH_TIMERS - 1, -1, -1))


def test_large_events_are_stored_in_several_appends(settings: Any) -> None:
    settings.EVENTS_MAX_DISPATCH_BYTES = settings.EVENTS_MAX_EVENT_BYTES = 2_000
    add_timers(3)
    Timer.objects.update(type="Large", data={"text": "x" * 900})
    reaction = get("reminds")
    assert [firing.fire_due(reaction) for _ in range(3)] == [2, 1, 0]


def test_deadlock_with_a_pass_is_no_rejection() -> None:
    """A command in a pass holds the aggregate of the event, and then the pass cancels the timer."""
    add_timers(1)
    fired: list[int] = []
    try:
        with transaction.atomic():
            store.dispatch(NewEvent("item-0", "Held"))
            thread = in_thread(lambda: fired.append(firing._fire_each(get("reminds"))))
            Wait().until(somebody_waits_for_us)
            Actions("reminds").cancel("k0")
            raise LookupError
    except LookupError:
        pass
    except OperationalError:  # PostgreSQL ends either of them
        pass
    thread.join()
    assert fired in ([0], [1])
    assert not Timer.objects.filter(attempts__gt=0).exists()
    firing.fire_due(get("reminds"))
    assert len(reminders()) == 1


def test_workers_that_are_killed_while_they_fire_store_each_event_once() -> None:
    number, most_kills = (6_000, 4) if FULL else (3_000, 2)
    add_timers(number)
    ids = set(Timer.objects.values_list("event_id", flat=True))
    kills = 0
    while Timer.objects.exists():
        worker = process_on_test_database("-c", WORKER)
        before = Timer.objects.count()
        Wait().until(lambda before=before: Timer.objects.count() < before or not before)
        if kills < most_kills:
            worker.kill()
            kills += 1
        else:
            Wait().until(lambda: not Timer.objects.exists())
            worker.terminate()
        worker.communicate(timeout=20)
    assert kills == most_kills
    stored = [event.event_id for event in reminders()]
    assert len(stored) == number
    assert set(stored) == ids
