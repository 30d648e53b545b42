"""Mark the errors of handlers, to tell them from the errors of the call itself.

A caller of `dispatch` receives the exception that its handler raised, whatever its class. So the exception is not
replaced, but marked.
"""

from dataclasses import dataclass
from typing import Final

from .models import Event

_FAILURE: Final = "_events_failure"


@dataclass(frozen=True)
class Failure:
    """Where a handler raised an exception: at `event`, which has this index in the call of `dispatch`."""

    event: Event
    index: int


def mark(error: Exception, event: Event, index: int) -> None:
    """Mark `error` as raised by a handler. If dispatches are nested, the mark of the outermost one remains."""
    vars(error)[_FAILURE] = Failure(event, index)


def failure(error: BaseException) -> Failure | None:
    """Return at which event of `dispatch` a handler raised `error`; None if no handler raised it."""
    found: Failure | None = vars(error).get(_FAILURE)
    return found
