"""INLINE projections: the writer runs them in its transaction, so their rows are up to date when it commits."""

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import cache
from typing import Any

from django.db import connections, transaction

from events import subscriptions
from events.models import Event
from events.storage.notes import Note
from events.types import ALL, Subscribed
from projections import registry
from projections.base import Mode, Projection
from projections.exceptions import HandlerFailed, OutdatedCode, UnsafeTransaction

from . import missed, registration
from .handling import handlers_of

logger = logging.getLogger(__name__)


class Liveness(Enum):
    """Whether an INLINE projection handles events in a transaction."""

    LIVE = "live"  # it handles events
    NOT_LIVE = "not live"  # a rebuild runs, or its rows are of another version
    NEWER = "newer"  # newer code than that of this process built its rows


# The projections that this process runs, by name.
_running: dict[str, Projection] = {}


def subscribe(projection: Projection) -> None:
    """Make `projection` a part of every append of the events that it handles."""
    _running[projection.name] = projection
    subscriptions.prepare_participants(enter)
    for event_type in _subscribed_types(projection):
        subscriptions.add_participant(event_type, receiver(projection))


def unsubscribe(projection: Projection) -> None:
    _running.pop(projection.name, None)
    for event_type in _subscribed_types(projection):
        subscriptions.remove_participant(event_type, receiver(projection))


def subscribe_all() -> None:
    """Subscribe every INLINE projection of this process."""
    for projection in registry.all_projections(Mode.INLINE):
        subscribe(projection)


def _subscribed_types(projection: Projection) -> Collection[str | Subscribed]:
    wanted = projection.wanted_types()
    return [ALL] if wanted is None else wanted


@cache
def receiver(projection: Projection) -> "Receiver":
    return Receiver(projection)


class Receiver:
    """The subscriber of one projection. `receiver` returns the same object each time, so it is subscribed once."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    def __call__(self, event: Event, using: str, **kwargs: Any) -> None:
        liveness = _known(using, {self._projection.name})[self._projection.name]
        if liveness is Liveness.NEWER:
            raise OutdatedCode(self._projection.name, self._projection.version)
        if liveness is Liveness.NOT_LIVE:
            _warn(self._projection.name)
            return
        try:
            with handlers_of(self._projection) as call:
                call([event])
        except HandlerFailed as failure:
            raise failure.__cause__ or failure from None


class _TransactionLiveness(Note):
    """Which projections are live in a transaction.

    PostgreSQL releases the locks of `projections_enter_inline` at the moments when the note is removed.
    """

    def __init__(self, liveness: dict[str, Liveness]) -> None:
        self.liveness = liveness


def enter(events: Sequence[Event], using: str) -> None:
    """Lock the INLINE projections for the transaction of an append, and count the events that each of them handles.

    The counts show which events were stored without the projection: see `missed`. A transaction enters once; its
    further appends only add to the counts.
    """
    handled = {name: number for name, each in _running.items() if (number := _number(events, each))}
    known = _known(using, handled.keys())
    if handled.keys() <= known.keys():
        live = {name: number for name, number in handled.items() if known[name] is Liveness.LIVE}
        missed.count_at_commit(live, using)
        return
    liveness = _enter([*registry.all_projections(Mode.INLINE)], handled, using)
    for name in handled.keys() - liveness.keys():
        projection = registry.get(name)
        first = next(event for event in events if _number([event], _running[name]))
        registration.ensure_registered(projection, before=first.position)
        liveness |= _enter([projection], handled, using)
    transaction.on_commit(_TransactionLiveness(liveness), using=using)
    missed.forget_at_commit(using)


def _number(events: Sequence[Event], projection: Projection) -> int:
    """Return how many of `events` a projection handles."""
    wanted = projection.wanted_types()
    return len(events) if wanted is None else sum(event.type in wanted for event in events)


def _known(using: str, names: AbstractSet[str]) -> dict[str, Liveness]:
    """Return the projections that the transaction has entered, those of `names` among them if it has.

    The note is among the first of the transaction. Each further append leaves a note too, so going through all of them
    for each event would take the square of the number of appends.
    """
    known: dict[str, Liveness] = {}
    for _, function, *_ in connections[using].run_on_commit:
        if isinstance(function, _TransactionLiveness):
            known |= function.liveness
            if names <= known.keys():
                break
    return known


_ENTER = """
    SELECT name, live, newer, widens, current_setting('transaction_isolation') FROM projections_enter_inline(%s::jsonb)
"""


def _enter(projections: list[Projection], handled: Mapping[str, int], using: str) -> dict[str, Liveness]:
    asked = [
        {"name": each.name, "version": each.version, "types": each.stored_types(), "handled": handled.get(each.name, 0)}
        for each in projections
    ]
    with connections[using].cursor() as cursor:
        cursor.execute(_ENTER, [json.dumps(asked)])
        answers = cursor.fetchall()
        for *_, level in answers:
            if level not in ("read committed", "read uncommitted"):  # its snapshot may be older than a rebuild
                raise UnsafeTransaction(level)
        for name, live, _, widens, _ in answers:
            if live and widens:
                cursor.execute(
                    "SELECT projections_widen_inline(%s, %s::text[])", [name, registry.get(name).stored_types()]
                )
    return {
        name: Liveness.NEWER if newer else Liveness.LIVE if live else Liveness.NOT_LIVE
        for name, live, newer, *_ in answers
    }


@cache
def _warn(name: str) -> None:
    """Log, once per process, why the rows do not change."""
    logger.warning("projection=%s is not live and misses events; run: manage.py rebuild_projection %s", name, name)
