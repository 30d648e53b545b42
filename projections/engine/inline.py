"""INLINE projections: run by the writer, in its transaction, so that their rows are right the moment it commits."""

import logging
from functools import cache
from typing import Any, Final

from django.db import connections, transaction

from events import routing
from events.models import Event
from events.store import EventStore
from events.types import ALL
from projections import registry
from projections.base import Mode, Projection
from projections.exceptions import HandlerFailed, OutdatedCode, UnsafeTransaction

from . import registration

logger = logging.getLogger(__name__)

NEWER: Final = "newer"  # the rows are of newer code than this process has


def subscribe(projection: Projection) -> None:
    """Have `projection` called for the events it wants; an append of any other type does not notice it."""
    store = EventStore()
    wanted = projection.wanted_types()
    for event_type in [ALL] if wanted is None else wanted:
        store.subscribe(event_type, receiver(projection))


def subscribe_all() -> None:
    """Subscribe every INLINE projection of this process."""
    for projection in registry.all_projections(Mode.INLINE):
        subscribe(projection)


@cache
def receiver(projection: Projection) -> "Receiver":
    return Receiver(projection)


class Receiver:
    """What the store calls for each event. Equal objects subscribe once: there is one per projection."""

    def __init__(self, projection: Projection) -> None:
        self._projection = projection

    def __call__(self, event: Event, using: str, **kwargs: Any) -> None:
        if using != routing.database():
            return
        live = _is_live(self._projection, event, using)
        if live is NEWER:
            raise OutdatedCode(self._projection.name, self._projection.version)
        if not live:
            _warn(self._projection.name)
            return
        try:
            self._projection.project_batch([event])
        except HandlerFailed as failure:
            raise failure.__cause__ or failure from None


class _Entered:
    """Says, among the transaction's on-commit functions, which projections are live in it.

    Django drops such a function when the savepoint it came in is rolled back, and when the transaction ends: exactly
    when PostgreSQL drops the locks that `projections_enter_inline` has taken.
    """

    def __init__(self, live: dict[str, bool | str]) -> None:
        self.live = live

    def __call__(self) -> None:
        """Do nothing: its place in the list is all that counts."""


def _is_live(projection: Projection, event: Event, using: str) -> bool | str:
    connection = connections[using]
    for _, function, *_ in connection.run_on_commit:
        if isinstance(function, _Entered) and projection.name in function.live:
            return function.live[projection.name]
    live = _enter([*registry.all_projections(Mode.INLINE)], using)
    if projection.name not in live:
        registration.ensure(projection, before=event.position)
        live |= _enter([projection], using)
    transaction.on_commit(_Entered(live), using=using)
    return live[projection.name]


_ENTER = """
    SELECT name, live, newer, current_setting('transaction_isolation')
    FROM projections_enter_inline(%s::text[], %s::integer[])
"""


def _enter(projections: list[Projection], using: str) -> dict[str, bool | str]:
    names, versions = [each.name for each in projections], [each.version for each in projections]
    with connections[using].cursor() as cursor:
        cursor.execute(_ENTER, [names, versions])
        answers = cursor.fetchall()
    for *_, level in answers:
        if level not in ("read committed", "read uncommitted"):  # an older snapshot: how it stands may be long past
            raise UnsafeTransaction(level)
    return {name: NEWER if newer else live for name, live, newer, _ in answers}


@cache
def _warn(name: str) -> None:
    """Say once in this process why rows do not change."""
    logger.warning("projection=%s is not live, events pass it by; run: manage.py rebuild_projection %s", name, name)
