"""Events that INLINE projections have missed, because their writers did not run the code of the projection.

Such a writer is a process with older code, which does not handle a type yet, a process without the code of the
projection, or a caller of the append functions from SQL. Each other writer counts the events that it passes to a
projection, in the transaction of the events. The stored events, minus the counted ones, are the missed ones.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any

from django.db import connections, transaction

from events.routing import database
from events.storage import ordering, reader
from events.storage.notes import Note
from events.storage.query_files import read_query
from projections import registry
from projections.base import Mode, Projection
from projections.models import InlineCount, ProjectionState, Status

logger = logging.getLogger(__name__)

MAX_COUNTED = 10_000  # events of new types, which are counted at each look until the state names the types


def missed_events() -> dict[str, int]:
    """Return the number of events that each live INLINE projection has missed, by name."""
    pending, of_new_types = _pending(database()), _of_new_types()
    return {name: stored - handled - pending[name] + of_new_types[name] for name, stored, handled in _counts()}


def _of_new_types() -> Counter[str]:
    """Return how many events there are of types that the code of this process handles and the state does not name.

    The state names them from the next append of the projection on; see `projections_widen_inline`.
    """
    found: Counter[str] = Counter()
    states = ProjectionState.objects.using(database()).filter(mode=Mode.INLINE, status=Status.RUNNING)
    projections = {each.name: each for each in registry.all_projections(Mode.INLINE)}
    for state in states.exclude(types=None):
        projection = projections.get(state.name)
        if projection is None or projection.version != state.version:
            continue
        wanted, named = projection.stored_types(), state.types or []
        if wanted is None or not set(wanted) <= set(named):
            events = reader.selection(wanted, None, database()).after(state.start_position)
            found[state.name] = events.exclude(type__in=named)[:MAX_COUNTED].count()
    return found


class _Handled(Note):
    """Counts of a further append."""

    def __init__(self, handled: Mapping[str, int]) -> None:
        self.handled = handled


def count_at_commit(handled: Mapping[str, int], using: str) -> None:
    """Count the events that a transaction passes to projections it has entered, in one statement before its commit.

    A statement for each append would take a sixth of its time.
    """
    if handled:
        transaction.on_commit(_Handled(handled), using=using)
        _wrap_commit(using)


def forget_at_commit(using: str) -> None:
    """Forget the notes about a transaction when it commits, also if its caller has set autocommit off.

    Otherwise the next transaction would take them for its own: it would not lock the projections, and count twice.
    """
    if not connections[using].commit_on_exit:  # the caller commits; Django forgets in all other transactions
        _wrap_commit(using)


def _wrap_commit(using: str) -> None:
    """Call `_count_and_commit` in place of the next commit.

    Django has no signal before a commit, so this wraps `_commit`, an internal of its database backends. Checked with
    Django 5.2 and 6.1.
    """
    connection = connections[using]
    if "_commit" not in vars(connection):
        connection._commit = partial(_count_and_commit, using)  # type: ignore[attr-defined]


def _count_and_commit(using: str) -> None:
    connection = connections[using]
    del connection._commit  # type: ignore[attr-defined]  # the method of the class is back
    if pending := _pending(using):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT projections_count_inline(%s::text[], %s::bigint[])", [[*pending], [*pending.values()]]
            )
    connection._commit()  # type: ignore[attr-defined]
    connection.run_on_commit = [each for each in connection.run_on_commit if not isinstance(each[1], Note)]


def _pending(using: str) -> Counter[str]:
    """Return the counts of the open transaction of this connection that are not in the database yet."""
    pending: Counter[str] = Counter()
    for _, function, *_ in connections[using].run_on_commit:
        if isinstance(function, _Handled):
            pending.update(function.handled)
    return pending


def check() -> None:
    """Check the live INLINE projections up to the settled position, so that the next count starts from there."""
    using = database()
    states = ProjectionState.objects.using(using).filter(mode=Mode.INLINE, status=Status.RUNNING)
    if not states.exists():
        return
    settled = ordering.settled_position(using)
    with transaction.atomic(using):
        # Later statements have later snapshots, and nobody else changes these states meanwhile.
        locked = list(states.select_for_update(skip_locked=True, no_key=True).order_by("name"))
        names = [state.name for state in locked]
        missing = [name for name, missed in missed_events().items() if missed > 0]
        for state in locked:
            if state.name in missing and state.missed_after is None:
                logger.error("projection=%s missed events after position %s", state.name, state.checked_position)
        arguments: dict[str, Any] = {"names": names, "missing": missing, "settled": settled}
        with connections[using].cursor() as cursor:
            cursor.execute(read_query(__package__, "collect_counts"), arguments)
            cursor.execute(read_query(__package__, "check_up_to"), arguments)


def begin_counting(projection: Projection, state: ProjectionState, position: int, handled: int = 0) -> list[str]:
    """Count from `position` on, for rows that contain all events up to it, and `handled` later ones.

    Every transaction that passes events to the projection has ended, or waits for this one. The caller saves the fields
    of the state whose names are returned.
    """
    InlineCount.objects.using(database()).filter(projection=state.name).delete()
    state.types, state.checked_position, state.handled, state.missed_after = (
        projection.stored_types(),
        position,
        handled,
        None,
    )
    return ["types", "checked_position", "handled", "missed_after"]


def _counts() -> list[tuple[str, int, int]]:
    with connections[database()].cursor() as cursor:
        cursor.execute(read_query(__package__, "missed"))
        return list(cursor.fetchall())
