"""Events that INLINE projections have missed, because their writers did not run the code of the projection.

Such a writer is a process with older code, which does not handle a type yet, a process without the code of the projection,
or a caller of the append functions from SQL. Each other writer counts the events that it passes to a projection, in the
transaction of the events. The events that are stored, minus those that are counted, are the missed ones.
"""

import logging

from django.db import connections, transaction

from events.routing import database
from events.storage import ordering
from events.storage.query_files import read_query
from projections.base import Mode, Projection
from projections.models import InlineCount, ProjectionState, Status

logger = logging.getLogger(__name__)


def missed_events() -> dict[str, int]:
    """Return the number of events that each live INLINE projection has missed, by name."""
    return {name: stored - handled for name, stored, handled in _counts()}


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
        arguments = {"names": names, "missing": missing, "settled": settled}
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
        projection.wanted_types(),
        position,
        handled,
        None,
    )
    return ["types", "checked_position", "handled", "missed_after"]


def _counts() -> list[tuple[str, int, int]]:
    with connections[database()].cursor() as cursor:
        cursor.execute(read_query(__package__, "missed"))
        return list(cursor.fetchall())
