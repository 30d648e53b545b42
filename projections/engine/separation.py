"""Separate the failing events of a batch from the others: handle the batch in parts, each of which can be undone."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from events.models import Event
from projections.exceptions import HandlerFailed


@dataclass(frozen=True)
class Step:
    """What has become of the next events of a batch. Nothing before `last` is undecided.

    Attributes:
        last: the last of these events.
        handled: those that are handled.
        waiting: those that wait, because an earlier event of their aggregate has failed.
        error: why `last` has failed; None if it has not.
    """

    last: Event
    handled: Sequence[Event] = ()
    waiting: Sequence[Event] = ()
    error: BaseException | None = None


@dataclass(frozen=True)
class _Part:
    """A part of the batch that is still to do.

    Attributes:
        error: the error with which these events are known to fail.
        fails_after: it contains a failing event if exactly so many aggregates have failed before it.
    """

    events: Sequence[Event]
    error: BaseException | None = None
    fails_after: int | None = None


def separate(
    events: Sequence[Event],
    error: BaseException,
    attempt: Callable[[Sequence[Event]], BaseException | None],
    blocked: Collection[str] = (),
) -> Iterator[Step]:
    """Yield step by step, in order, what becomes of `events`, whose batch has failed with `error`.

    If the error names its event, the batch is divided there, and each event is handled about twice. Otherwise it is
    halved until one event is left. After an event has failed, the later ones of its aggregate wait.

    Args:
        attempt: handles events, and returns the error if that was undone. An exception ends the separation.
        blocked: the aggregates whose events have to wait from the beginning, and were not part of the failed attempt.
    """
    failed = set(blocked)
    parts = [_Part(events, error)]
    while parts:
        part = parts.pop()
        todo = [event for event in part.events if event.aggregate_id not in failed]
        waiting = [event for event in part.events if event.aggregate_id in failed]
        if not todo:
            yield Step(part.events[-1], waiting=waiting)
            continue
        cause = part.error
        if cause is None and (len(todo) == 1 or part.fails_after != len(failed)):
            cause = attempt(todo)
            if cause is None:
                yield Step(part.events[-1], todo, waiting)
                continue
        failing = _failing(todo, cause)
        if failing is None:
            half = len(part.events) // 2
            # If nothing fails in the first half, something fails in the second: it need not be tried as a whole.
            parts += [_Part(part.events[half:], fails_after=len(failed)), _Part(part.events[:half])]
        elif len(part.events) > 1:
            at = list(part.events).index(failing)
            divided = _Part(part.events[:at]), _Part([failing], cause), _Part(part.events[at + 1 :])
            parts += [each for each in reversed(divided) if each.events]
        else:
            failed.add(failing.aggregate_id)
            yield Step(failing, error=cause)


def _failing(events: Sequence[Event], error: BaseException | None) -> Event | None:
    """Return which of `events` has failed; None if that is unknown."""
    if len(events) == 1:
        return events[0]
    return error.event if isinstance(error, HandlerFailed) and error.event in events else None
