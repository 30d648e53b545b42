"""Call the handlers of a projection, and keep them from effects that a rebuild would repeat, and a crash would lose."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.db import connections

from events.models import Event
from events.routing import database
from projections.base import Projection
from projections.exceptions import EffectOnCommit

# The packages whose own functions may run after the commit: on-commit subscribers, snapshots, notes.
_OURS = ("events.", "projections.")


@contextmanager
def handlers_of(projection: Projection) -> Iterator[Callable[[Sequence[Event]], None]]:
    """Yield the function that calls the handlers, for the `with` block of one transaction.

    At the end of the block, a reaction appends what its handlers have dispatched.
    """
    with projection.open_pass() as handle:

        def guarded(events: Sequence[Event]) -> None:
            with _on_commit_rejected():
                handle(events)

        yield guarded


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
