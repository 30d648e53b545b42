"""Timers commit with their pass; the same key replaces, and a cancellation says whether it was in time."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.context import event_context
from events.exceptions import InvalidEvent
from events.models import Event
from events.types import NewEvent
from projections.base import FIRST_EVENT, handles
from projections.exceptions import Unavailable
from projections.models import ParkedEvent, Timer
from projections.reactions import Actions, Reaction
from projections.registry import get
from projections.workers.worker import Until, Worker
from tests.projections.reactions.support import Answered, Asked, Reminded, registered, reminders, store
from tests.projections.support import catch_up
from tests.support import Wait

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)
REMINDER = NewEvent("question-1", Reminded(number=1))


class Doing(Reaction):
    """Does what a test says."""

    name = "doing"
    start = FIRST_EVENT
    retry_delays_seconds = ()

    @handles(Asked)
    def act(self, event: Event[Asked], do: Actions) -> None:
        does(event, do)


does: Callable[[Event, Actions], Any]


@pytest.fixture(autouse=True)
def doing() -> Iterator[None]:
    with registered(Doing):
        yield


def run(*steps: Callable[[Event, Actions], Any]) -> list[Any]:
    """Handle one event for each step, in one pass; return what the steps return."""
    global does
    results: list[Any] = []
    remaining = list(steps)

    def do_next(event: Event, do: Actions) -> None:
        results.append(remaining.pop(0)(event, do))

    does = do_next
    store.dispatch(*[NewEvent(f"question-{n}", Asked(number=n)) for n, _ in enumerate(steps)])
    catch_up("doing")
    return results


def schedule(key: str = "k", after: timedelta = HOUR, number: int = 1) -> Callable[[Event, Actions], None]:
    event = NewEvent("question-1", Reminded(number=number))
    return lambda _, do: do.schedule(event, after=after, key=key)


def cancel(key: str = "k") -> Callable[[Event, Actions], bool]:
    return lambda _, do: do.cancel(key)


def test_timer_is_saved_with_the_event_in_its_context() -> None:
    with event_context(correlation_id="flow-7"):
        run(schedule())
    (asked,) = store.read_all()
    timer = Timer.objects.get()
    assert (timer.reaction, timer.key, timer.due_at) == ("doing", "k", asked.timestamp + HOUR)
    assert (timer.aggregate_id, timer.type, timer.data) == ("question-1", "reactions-reminded", {"number": 1})
    assert timer.source_position == asked.position
    assert timer.metadata["correlation_id"] == "flow-7"
    assert timer.metadata["causation_id"] == str(asked.event_id)
    assert (timer.metadata["reaction"], timer.metadata["timer"]) == ("doing", "k")


def test_after_counts_from_the_timestamp_of_the_event_however_late_it_is_handled() -> None:
    global does
    does = schedule()
    then = datetime(2030, 1, 31, 12, tzinfo=UTC)
    store.dispatch(NewEvent("question-1", Asked(), timestamp=then))
    catch_up("doing")
    assert Timer.objects.get().due_at == then + HOUR


def test_at_is_a_moment_and_one_that_is_over_is_due_at_once() -> None:
    then = datetime(2020, 1, 31, 12, tzinfo=UTC)
    run(lambda event, do: do.schedule(REMINDER, at=then, key="k"))
    (reminded,) = reminders()
    assert reminded.timestamp == then


@pytest.mark.parametrize("in_one_pass", [True, False])
def test_same_key_replaces_the_timer(in_one_pass: bool) -> None:
    if in_one_pass:
        run(schedule(number=1), schedule(number=2, after=2 * HOUR))
    else:
        run(schedule(number=1))
        run(schedule(number=2, after=2 * HOUR))
    timer = Timer.objects.get()
    assert timer.data == {"number": 2}
    assert timer.due_at > timezone.now() + HOUR
    assert timer.next_attempt_at == timer.due_at


def test_replacement_begins_again_after_rejections() -> None:
    run(schedule())
    Timer.objects.update(attempts=3, next_attempt_at=None, error="no")
    run(schedule())
    timer = Timer.objects.get()
    assert (timer.attempts, timer.next_attempt_at, timer.error) == (0, timer.due_at, "")


def test_cancel_in_the_same_pass_and_in_a_later_one() -> None:
    assert run(schedule(), cancel(), cancel())[1:] == [True, False]
    assert not Timer.objects.exists()
    run(schedule())
    assert run(cancel(), schedule("other"), cancel()) == [True, None, False]
    assert [timer.key for timer in Timer.objects.all()] == ["other"]


def test_cancel_too_late_is_false_and_no_error() -> None:
    run(lambda event, do: do.schedule(REMINDER, at=timezone.now(), key="k"))
    assert len(reminders()) == 1
    assert run(cancel()) == [False]
    assert not ParkedEvent.objects.exists()


def test_failed_event_leaves_no_timer_and_takes_back_its_cancellation() -> None:
    run(schedule("kept"), schedule("replaced", number=1))

    def fail(event: Event, do: Actions) -> None:
        schedule("new")(event, do)
        schedule("replaced", number=9)(event, do)
        assert do.cancel("kept")
        raise LookupError

    global does
    does = lambda event, do: fail(event, do) if event.payload.number in (1, 3) else schedule("beside")(event, do)  # noqa: E731
    store.dispatch(*[NewEvent(f"question-{n}", Asked(number=n)) for n in range(5)])
    catch_up("doing")
    assert sorted((timer.key, timer.data["number"]) for timer in Timer.objects.all()) == [
        ("beside", 1),
        ("kept", 1),
        ("replaced", 1),
    ]
    assert ParkedEvent.objects.count() == 2


def test_timers_of_a_batch_are_one_statement() -> None:
    with CaptureQueriesContext(connection) as queries:
        run(*[schedule(f"k{n}") for n in range(50)])
    assert Timer.objects.count() == 50
    assert len([each for each in queries if 'INSERT INTO "projections_timer"' in each["sql"]]) == 1


def test_project_batch_names_the_event() -> None:
    class Batching(Reaction):
        name = "batching"
        start = FIRST_EVENT
        types = Asked

        def project_batch(self, events: Sequence[Event], do: Actions) -> None:
            for event in events:
                with do.because_of(event):
                    do.schedule(REMINDER, after=HOUR, key=f"b{event.position}")

    global does
    does = lambda event, do: None  # noqa: E731
    with registered(Batching):
        store.dispatch(NewEvent("question-1", Asked()), NewEvent("question-2", Asked()))
        catch_up("batching")
    assert Timer.objects.filter(reaction="batching").count() == 2


def test_part_of_a_batch_that_is_done_keeps_its_follow_ups_and_timers() -> None:
    class Batching(Reaction):
        name = "batching"
        start = FIRST_EVENT
        types = Asked
        is_away = True

        def project_batch(self, events: Sequence[Event], do: Actions) -> None:
            for number, event in enumerate(events):
                with do.because_of(event):
                    do.dispatch(NewEvent("answer-1", Answered(number=event.payload.number)))
                    do.schedule(REMINDER, after=HOUR, key=f"b{event.payload.number}")
                if self.is_away and number == 1:
                    raise Unavailable(done=events[0].position, retry_after_seconds=0.01)

    with registered(Batching):
        store.dispatch(*[NewEvent(f"question-{n}", Asked(number=n)) for n in range(3)])
        Worker([get("batching")], until=Until.ONCE).run()
        assert [event.payload.number for event in store.read_all(types=Answered)] == [0]
        assert [timer.key for timer in Timer.objects.all()] == ["b0"]
        Batching.is_away = False
        Wait.until(lambda: catch_up("batching") or len(list(store.read_all(types=Answered))) == 3)
    assert [event.payload.number for event in store.read_all(types=Answered)] == [0, 1, 2]
    assert sorted(timer.key for timer in Timer.objects.all()) == ["b0", "b1", "b2"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "neither is given; give one of them"),
        ({"after": HOUR, "at": datetime(2030, 1, 1, tzinfo=UTC)}, "both are given; give one of them"),
        ({"after": 3600}, "after: is 3600; give a timedelta"),
        ({"after": timedelta(0)}, "give more than 0, or store the event at once with do.dispatch"),
        ({"after": timedelta.max}, "the timer would be due after the last year"),
        ({"at": datetime(2030, 1, 1)}, "at: has no time zone"),
        ({"at": "2030"}, "at: is '2030'; give a timezone-aware datetime"),
        ({"after": HOUR, "key": ""}, "key: is empty"),
        ({"after": HOUR, "key": 7}, "key: is a int"),
        ({"after": HOUR, "event": NewEvent("a-1", "A", {}, timezone.now())}, "timestamp: is given; leave it out"),
        ({"after": HOUR, "event": NewEvent("", "A")}, "aggregate_id: is empty"),
        ({"after": HOUR, "event": "A"}, "event: is a str"),
    ],
)
def test_invalid_arguments_name_the_remedy(arguments: dict[str, Any], message: str) -> None:
    (source,) = store.dispatch(NewEvent("question-1", Answered(number=1)))
    do = Actions("doing")
    with do.because_of(source), pytest.raises(InvalidEvent) as raised:
        do.schedule(**{"event": REMINDER, "key": "k", **arguments})
    assert message in str(raised.value)
    with pytest.raises(RuntimeError, match=r"with do\.because_of"):
        do.schedule(REMINDER, after=HOUR, key="k")
