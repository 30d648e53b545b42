"""The failing events of a batch are found, and the others are handled in order."""

import random
from collections.abc import Sequence

import pytest

from events.models import Event
from events.testing import make_event
from projections.engine.separation import Step, separate
from projections.exceptions import HandlerFailed


def batch(*aggregate_ids: str) -> list[Event]:
    return [make_event(each, "Happened", position=place + 1) for place, each in enumerate(aggregate_ids)]


class Handler:
    """Handles parts of a batch, all or nothing; fails at some positions, and names the event if it is asked to."""

    def __init__(self, failing: set[int], *, names: bool) -> None:
        self.failing, self.names = failing, names
        self.handled: list[int] = []
        self.calls = 0

    def __call__(self, events: Sequence[Event]) -> BaseException | None:
        for event in events:
            self.calls += 1
            if event.position in self.failing:
                return HandlerFailed(event) if self.names else ValueError(str(event.position))
        self.handled += [event.position for event in events]
        return None

    def separate(self, events: list[Event], blocked: Sequence[str] = ()) -> list[Step]:
        error = self([event for event in events if event.aggregate_id not in blocked])
        assert error is not None
        return list(separate(events, error, self, blocked))


@pytest.mark.parametrize("names", [True, False])
def test_events_that_fail_step_aside_and_later_ones_of_their_aggregates_wait(names: bool) -> None:
    events = batch("a", "b", "a", "c", "b", "a")
    handler = Handler({2}, names=names)
    steps = handler.separate(events)
    assert handler.handled == [1, 3, 4, 6]
    assert [step.last.position for step in steps if step.error] == [2]
    assert [event.position for step in steps for event in step.waiting] == [5]


@pytest.mark.parametrize("names", [True, False])
def test_every_batch_is_decided_completely_and_in_order(names: bool) -> None:
    chance = random.Random(7)
    for _ in range(500):
        events = batch(*[f"a-{chance.randrange(6)}" for _ in range(chance.randint(1, 40))])
        failing = {event.position for event in events if chance.random() < chance.choice([0.05, 0.5])}
        blocked = {f"a-{number}" for number in range(6) if chance.random() < 0.1}
        if not any(event.position in failing and event.aggregate_id not in blocked for event in events):
            continue
        handler = Handler(failing, names=names)
        steps = handler.separate(events, sorted(blocked))
        reached = 0
        for step in steps:
            decided = [*step.handled, *step.waiting, *([step.last] if step.error else [])]
            assert sorted(event.position for event in decided) == list(range(reached + 1, step.last.position + 1))
            reached = step.last.position
        assert reached == len(events)
        stuck, wanted = set(blocked), []
        for event in events:
            if event.aggregate_id not in stuck and event.position in failing:
                stuck.add(event.aggregate_id)
            elif event.aggregate_id not in stuck:
                wanted.append(event.position)
        assert handler.handled == wanted


def test_each_event_is_handled_about_twice_if_the_failing_one_is_named() -> None:
    handler = Handler({400, 800}, names=True)
    handler.separate(batch(*[f"a-{n}" for n in range(1000)]))
    assert handler.calls <= 2000 + 2


def test_few_attempts_find_an_event_that_nobody_names() -> None:
    for failing in (1, 500, 1000):
        handler = Handler({failing}, names=False)
        handler.separate(batch(*[f"a-{n}" for n in range(1000)]))
        assert handler.calls <= 3100


def test_single_event_is_not_tried_a_second_time() -> None:
    handler = Handler({1}, names=False)
    handler.separate(batch("a"))
    assert handler.calls == 1
