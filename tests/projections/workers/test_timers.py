"""Workers fire timers soon after they are due, and ask for none where no reaction runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from projections.models import Timer
from projections.registry import get
from projections.workers.scheduler import plan
from projections.workers.timers import LOOK_SECONDS, DueTimers
from projections.workers.worker import Worker
from tests.projections.reactions.support import Answers, Reminds, add_timers, in_thread, registered, reminders
from tests.projections.support import catch_up
from tests.support import Wait

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    with registered(Reminds, Answers):
        catch_up("reminds", "answers")
        yield


@contextmanager
def working(*names: str) -> Iterator[Worker]:
    worker = Worker([get(name) for name in names])
    thread = in_thread(worker.run)
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


def test_timer_that_another_process_schedules_fires_soon_after_it_is_due() -> None:
    with working("reminds"):
        time.sleep(0.3)
        due_at = timezone.now() + timedelta(seconds=1)
        add_timers(1, due_at)
        Wait.until(reminders)
    (reminded,) = reminders()
    late = (reminded.recorded_at - reminded.timestamp).total_seconds()
    assert 0 <= late < LOOK_SECONDS + 0.4


def test_no_reaction_no_query() -> None:
    add_timers(1)
    timers = DueTimers()
    timers.plan(plan([get("tally")]))
    with CaptureQueriesContext(connection) as queries:
        assert timers.fire(look=True) is False
    assert not queries.captured_queries


def test_next_due_time_is_asked_for_at_intervals() -> None:
    add_timers(1, timezone.now() + timedelta(hours=1))
    timers = DueTimers()
    timers.plan(plan([get("reminds"), get("answers")]))
    with CaptureQueriesContext(connection) as queries:
        for _ in range(5):
            assert timers.fire(look=False) is False
    assert len(queries.captured_queries) == 1


def test_timer_that_is_held_back_is_not_asked_for_all_the_time() -> None:
    add_timers(1)
    timers = DueTimers()
    timers.plan(plan([get("reminds")]))
    Timer.objects.update(reaction="reminds")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE projections_checkpoint SET position = 0")
        cursor.execute("UPDATE projections_projectionstate SET status = 'paused'")
    with CaptureQueriesContext(connection) as queries:
        for _ in range(50):
            assert timers.fire(look=False) is False
    assert len([each for each in queries.captured_queries if "FOR NO KEY UPDATE" in each["sql"]]) == 1


def test_idle_worker_with_timers_takes_less_than_a_hundredth_of_a_core() -> None:
    """Beside what it takes without timers: the poll for new events."""
    add_timers(1_000, timezone.now() + timedelta(hours=1))
    timers = DueTimers()
    timers.plan(plan([get("reminds"), get("answers")]))
    rounds = round(5 / 0.045)  # of 5 seconds
    begin = time.thread_time()
    looks = 0
    for _ in range(rounds):
        timers.fire(look=False)
    for _ in range(round(5 / LOOK_SECONDS)):
        timers._looked_at = float("-inf")
        timers.fire(look=False)
        looks += 1
    assert looks == 10
    assert (time.thread_time() - begin) / 5 < 0.01
