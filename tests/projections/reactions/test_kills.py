"""Workers are killed again and again: no follow-up, effect or timer is lost, and only effects may be doubled."""

import signal
import subprocess
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from events.types import NewEvent
from projections.models import ParkedEvent, Timer
from tests import FULL
from tests.projections.reactions.killed import REACTIONS, TIMER_OF_EACH
from tests.projections.reactions.support import Asked, answers, registered, reminders, store
from tests.support import Background, Wait, process_on_test_database

pytestmark = pytest.mark.django_db(transaction=True)

# `make torture` runs the long form.
EVENTS, KILLS = (20_000, 50) if FULL else (400, 2)
WORKERS = 3
CALL = 20  # events in a call
AGGREGATES = 200


def test_killed_workers_lose_nothing_and_double_only_effects_under_the_same_key(tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.touch()

    def write() -> None:
        for first in range(0, EVENTS, CALL):
            store.dispatch(
                *[NewEvent(f"question-{n % AGGREGATES}", Asked(number=n)) for n in range(first, first + CALL)]
            )

    with registered(*REACTIONS), Background(write), ExitStack() as stack:
        workers = [_worker(stack, told) for _ in range(WORKERS)]
        for kill in range(KILLS):
            # There is always work, and each kill comes after some of it was done.
            wanted = EVENTS * kill // (KILLS + 1)
            Wait.until(lambda wanted=wanted: _lines(told) > wanted, timeout_seconds=120, what="progress")
            time.sleep(0.003 * (kill % 7))
            workers[kill % WORKERS].kill()  # SIGKILL
            assert workers[kill % WORKERS].wait() == -signal.SIGKILL
            workers[kill % WORKERS] = _worker(stack, told)
        Wait.until(lambda: _is_done(told), timeout_seconds=300, what="the rest")
        for each in workers:
            each.terminate()
            each.wait()
    assert not ParkedEvent.objects.exists()
    assert sorted(event.payload.number for event in answers()) == list(range(EVENTS))
    assert sorted(event.payload.number for event in reminders()) == list(range(0, EVENTS, TIMER_OF_EACH))
    calls = Counter(tuple(line.split()) for line in told.read_text().splitlines())
    assert len(calls) == EVENTS, "the same number comes under the same key"
    assert {int(number) for _, number in calls} == set(range(EVENTS))
    assert sum(calls.values()) <= EVENTS + KILLS, "a kill repeats the effect of one pass at most"


def _worker(stack: ExitStack, told: Path) -> "subprocess.Popen[str]":
    process = process_on_test_database("-m", "tests.projections.reactions.killed", str(told))
    stack.enter_context(process)
    stack.callback(process.kill)
    return process


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _is_done(told: Path) -> bool:
    return _lines(told) >= EVENTS and len(answers()) >= EVENTS and not Timer.objects.exists()
