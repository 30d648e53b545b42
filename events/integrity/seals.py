"""Seals: a chain of SHA-256 digests over the settled events, which proves later that they have not changed.

The digest up to an event is the SHA-256 of the digest up to the event before it (32 zero bytes before the first) and
the digest of the event's content. So it depends on all events up to a position, but not on the batches in which they
were sealed. A seal is a row with this digest. Appends cost nothing more: events are sealed after they are settled, when
no event can appear between them.
"""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple, Self

import psycopg
from django.db import OperationalError, connections, transaction

from events.models import Event, Seal
from events.plurals import number_of_events
from events.storage import autocommit, ordering
from events.storage.query_files import fetch_tuples, read_query

logger = logging.getLogger(__name__)

MAX_SEALED_EVENTS: Final = 1000
MARK_BYTES: Final = 4


class EventDigest(NamedTuple):
    """The SHA-256 of the content of one event."""

    position: int
    value: bytes


@dataclass(frozen=True)
class StoreDigest:
    """The digest of all events up to a position; as text `POSITION:HEX`, which operators keep elsewhere."""

    position: int = 0
    value: bytes = bytes(32)

    def followed_by(self, events: Iterable[EventDigest]) -> Self:
        """Return the digest up to the last of the given events, which follow this digest."""
        position, value = self.position, self.value
        for position, content in events:  # noqa: B007  # the last position is used below
            value = sha256(value + content).digest()
        return type(self)(position, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest that `str()` has formatted as `text`.

        Raises:
            ValueError: `text` is not a digest.
        """
        if not re.fullmatch("[0-9]{1,19}:[0-9a-f]{64}", text.strip()):
            raise ValueError(f"{text!r} is not a digest; give it as events_digest prints it, POSITION:HEX")
        position, _, digits = text.strip().partition(":")
        return cls(int(position), bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"{self.position}:{self.value.hex()}"


@dataclass(frozen=True)
class UnsealedEvents:
    """The number and age of the events that no seal covers yet; a change to them would not be noticed.

    Attributes:
        events: their number; `MAX_COUNTED` stands for this number or more.
        since: when the first of them was stored; None without such events.
    """

    MAX_COUNTED = 10_000

    events: int
    since: datetime | None

    def __str__(self) -> str:
        if not self.since:
            return "Every event is sealed."
        count = f"{self.events:,} or more events" if self.events == self.MAX_COUNTED else number_of_events(self.events)
        return f"Not sealed yet: {count}; the first was stored at {self.since:%Y-%m-%d %H:%M:%S %Z}."


def event_digests(after: int, up_to: int, limit: int, using: str) -> list[EventDigest]:
    """Return the digests of the events `after` < position <= `up_to`, at most `limit`, by position."""
    connection = connections[using]
    connection.ensure_connection()
    # Django's cursor has no binary format; in text format each byte of a digest takes two.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(read_query(__package__, "digests"), [after, up_to, limit], binary=True)
        return [EventDigest._make(row) for row in cursor.fetchall()]


def newest_digest(using: str) -> StoreDigest:
    """Return the digest of the newest seal; without a seal, the digest of no events."""
    newest = Seal.objects.using(using).order_by("-position").first()
    return StoreDigest(newest.position, bytes(newest.digest)) if newest else StoreDigest()


def seal(using: str, *, up_to: int | None = None) -> int:
    """Write and commit a seal of the next events, at most `MAX_SEALED_EVENTS`; return their number.

    One sealer works at a time. The result is 0 too if another sealer does not end in time.

    Args:
        up_to: seal no event after this position; None for the settled position.

    Raises:
        UnsafeRead: the transaction is not READ COMMITTED, or the server is a standby.
    """
    autocommit.require(using)
    if up_to is None:
        up_to = ordering.settled_position(using)
    try:
        with transaction.atomic(using):
            ((count,),) = fetch_tuples(using, "SELECT events_seal_next(%s, %s)", [up_to, MAX_SEALED_EVENTS])
    except OperationalError as error:
        if getattr(error.__cause__, "sqlstate", None) != "55P03":  # lock_not_available
            raise
        logger.warning("Nothing is sealed: another session holds the lock of events_seal. events_doctor names it.")
        return 0
    return int(count)


def unsealed(using: str) -> UnsealedEvents:
    """Return the number and age of the events that no seal covers yet."""
    events = Event.objects.using(using).after(newest_digest(using).position)
    first = events.with_showable_moments().order_by("position").values_list("recorded_at", flat=True).first()
    return UnsealedEvents(events[: UnsealedEvents.MAX_COUNTED].count() if first else 0, first)
