"""The pause between two looks: short while there is something new, growing while there is nothing."""

import pytest

from events.storage import backoff
from events.storage.backoff import BUSY_SECONDS, Backoff


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(backoff.time, "monotonic", lambda: now[0])
    return now


def test_pause_grows_with_the_silence_up_to_the_longest(clock: list[float]) -> None:
    found = Backoff()
    pauses = []
    for _ in range(100):
        pauses.append(found.pause_seconds(0.05))
        clock[0] += 0.2
    assert pauses[:2] == [BUSY_SECONDS] * 2
    assert pauses == sorted(pauses)
    assert pauses[2] > BUSY_SECONDS
    assert pauses[-1] == 0.05


def test_something_new_makes_the_pause_short_again(clock: list[float]) -> None:
    found = Backoff()
    clock[0] += 60
    assert found.quiet_seconds() == 60
    assert found.pause_seconds(0.05) == 0.05
    found.reset()
    assert (found.quiet_seconds(), found.pause_seconds(0.05)) == (0, BUSY_SECONDS)
