"""Call the handlers of a projection, and keep them from effects that a rebuild would repeat, and a crash would lose."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections

from events.models import Event
from events.routing import database
from events.storage import rows
from projections.base import Projection
from projections.exceptions import EffectOnCommit, HandlerFailed

# The packages whose own functions may run after the commit: on-commit subscribers, snapshots, notes.
_OURS = ("events.", "projections.")


@contextmanager
def handlers_of(projection: Projection) -> Iterator[Callable[..., None]]:
    """Yield the function that calls the handlers, for the `with` block of one transaction.

    If the events are handled in a savepoint, the function takes the check that may undo them, too.
    At the end of the block, a reaction appends what its handlers have dispatched.
    """
    with projection.open_pass() as handle:

        def guarded(events: Sequence[Event], check: Callable[[], Any] = lambda: None) -> None:
            with _on_commit_rejected():
                handle(events, check)

        yield guarded


def reject_unreadable(projection: Projection, events: Sequence[Event]) -> None:
    """Reject events that cannot be read, before the handlers get any.

    Raises:
        HandlerFailed: one of the events cannot be read.
    """
    unreadable = next(filter(rows.is_marked, events), None)
    if unreadable and projection._reads_content:
        raise HandlerFailed(unreadable) from unreadable.error


@contextmanager
def on_commit_allowed() -> Iterator[None]:
    """Allow `transaction.on_commit` again, for code that a handler calls as another caller would."""
    connection: Any = connections[database()]
    guard = vars(connection).pop("on_commit", None)
    try:
        yield
    finally:
        if guard is not None:
            connection.on_commit = guard


@contextmanager
def _on_commit_rejected() -> Iterator[None]:
    """Reject `transaction.on_commit` of the handlers' own code."""
    connection: Any = connections[database()]

    def on_commit(function: Any, robust: bool = False) -> None:
        if not _is_ours(function):
            raise EffectOnCommit(function)
        type(connection).on_commit(connection, function, robust)

    before = vars(connection).get("on_commit")
    connection.on_commit = on_commit
    try:
        yield
    finally:
        if before is None:
            del connection.on_commit
        else:
            connection.on_commit = before


def _is_ours(function: Any) -> bool:
    while hasattr(function, "func"):  # a partial
        function = function.func
    module = getattr(function, "__module__", None) or type(function).__module__
    return str(module).startswith(_OURS)
