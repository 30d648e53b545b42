"""INLINE projections: the writer runs them in its transaction, so their rows are up to date when it commits."""

import logging
from collections.abc import Collection
from enum import Enum
from functools import cache
from typing import Any

from django.db import connections, transaction

from events import routing, subscriptions
from events.models import Event
from events.types import ALL, Subscribed
from projections import registry
from projections.base import Mode, Projection
from projections.exceptions import HandlerFailed, OutdatedCode, UnsafeTransaction

from . import registration

logger = logging.getLogger(__name__)


class Liveness(Enum):
    """Whether an INLINE projection handles events in a transaction."""

    LIVE = "live"  # it handles events
    NOT_LIVE = "not live"  # a rebuild runs, or its rows are of another version
    NEWER = "newer"  # newer code than that of this process built its rows


def subscribe(projection: Projection) -> None:
    """Make `projection` a part of every append of the events that it handles."""
    for event_type in _subscribed_types(projection):
        subscriptions.add_participant(event_type, receiver(projection))


def unsubscribe(projection: Projection) -> None:
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
        if using != routing.database():
            return
        liveness = _liveness(self._projection, event, using)
        if liveness is Liveness.NEWER:
            raise OutdatedCode(self._projection.name, self._projection.version)
        if liveness is Liveness.NOT_LIVE:
            _warn(self._projection.name)
            return
        try:
            self._projection.project_batch([event])
        except HandlerFailed as failure:
            raise failure.__cause__ or failure from None


class _TransactionLiveness:
    """Stores, among the on-commit functions of a transaction, which projections are live in it.

    Django removes an on-commit function when its savepoint is rolled back and when the transaction ends. PostgreSQL
    releases the locks of `projections_enter_inline` at the same moments.
    """

    def __init__(self, liveness: dict[str, Liveness]) -> None:
        self.liveness = liveness

    def __call__(self) -> None:
        """Do nothing: only the entry in `run_on_commit` matters."""


def _liveness(projection: Projection, event: Event, using: str) -> Liveness:
    connection = connections[using]
    for _, function, *_ in connection.run_on_commit:
        if isinstance(function, _TransactionLiveness) and projection.name in function.liveness:
            return function.liveness[projection.name]
    liveness = _enter([*registry.all_projections(Mode.INLINE)], using)
    if projection.name not in liveness:
        registration.ensure_registered(projection, before=event.position)
        liveness |= _enter([projection], using)
    transaction.on_commit(_TransactionLiveness(liveness), using=using)
    return liveness[projection.name]


_ENTER = """
    SELECT name, live, newer, current_setting('transaction_isolation')
    FROM projections_enter_inline(%s::text[], %s::integer[])
"""


def _enter(projections: list[Projection], using: str) -> dict[str, Liveness]:
    names, versions = [each.name for each in projections], [each.version for each in projections]
    with connections[using].cursor() as cursor:
        cursor.execute(_ENTER, [names, versions])
        answers = cursor.fetchall()
    for *_, level in answers:
        if level not in ("read committed", "read uncommitted"):  # its snapshot may be older than a rebuild
            raise UnsafeTransaction(level)
    return {
        name: Liveness.NEWER if newer else Liveness.LIVE if live else Liveness.NOT_LIVE
        for name, live, newer, _ in answers
    }


@cache
def _warn(name: str) -> None:
    """Log, once per process, why the rows do not change."""
    logger.warning("projection=%s is not live and misses events; run: manage.py rebuild_projection %s", name, name)
