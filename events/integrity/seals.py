"""Seals: a chain of SHA-256 digests over the settled events, by which a later look proves that they are what they were.

The digest up to an event is SHA-256 of the digest up to the event before it (32 zero bytes before the first) and the
digest of the event's own content. So it says all there is to say of the events up to a position, whatever stretches
they were sealed in; a seal is a row that keeps it. Appends do not pay for it: events are sealed once they are settled,
when nothing can come between them any more.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NamedTuple, Self

import psycopg
from django.db import connections, transaction

from events.models import Event, Seal
from events.storage import ordering
from events.storage.query_files import read_query

MAX_SEALED_EVENTS: Final = 1000
MARK_BYTES: Final = 4


class EventDigest(NamedTuple):
    """The SHA-256 of all that one event says."""

    position: int
    value: bytes


@dataclass(frozen=True)
class StoreDigest:
    """The digest of all events up to a position; as text `POSITION:HEX`, to be kept elsewhere."""

    position: int = 0
    value: bytes = bytes(32)

    def followed_by(self, events: Iterable[EventDigest]) -> Self:
        """Return the digest up to the last of the events that come next."""
        position, value = self.position, self.value
        for position, content in events:  # noqa: B007  # the last one's is the answer's
            value = sha256(value + content).digest()
        return type(self)(position, value)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the digest that `str()` has written.

        Raises:
            ValueError: it is none.
        """
        if not re.fullmatch("[0-9]{1,19}:[0-9a-f]{64}", text.strip()):
            raise ValueError(f"{text!r} is no digest; give it as events_digest prints it, POSITION:HEX")
        position, _, digits = text.strip().partition(":")
        return cls(int(position), bytes.fromhex(digits))

    def __str__(self) -> str:
        return f"{self.position}:{self.value.hex()}"


@dataclass(frozen=True)
class Unsealed:
    """What no seal covers yet: an event more or less there would not be noticed.

    Attributes:
        events: how many there are; `MAX_COUNTED` stands for that many or more.
        since: when the first of them was stored; None when there is none.
    """

    MAX_COUNTED = 10_000

    events: int
    since: datetime | None

    def __str__(self) -> str:
        if not self.since:
            return "Every event is sealed."
        count = f"{self.events:,}{' or more' if self.events == self.MAX_COUNTED else ''}"
        return f"Not sealed yet: {count} events, the first of them stored at {self.since:%Y-%m-%d %H:%M:%S %Z}."


def event_digests(after: int, up_to: int, limit: int, using: str) -> list[EventDigest]:
    """Return the digests of the events `after` < position <= `up_to`, at most `limit`, by position."""
    connection = connections[using]
    connection.ensure_connection()
    # Binary, which Django's cursor cannot: as text, PostgreSQL would write each byte as two, for Python to read them.
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(read_query(__package__, "digests"), [after, up_to, limit], binary=True)
        return [EventDigest._make(row) for row in cursor.fetchall()]


def newest_digest(using: str) -> StoreDigest:
    """Return the digest that the newest seal keeps; of nothing, when there is no seal."""
    newest = Seal.objects.using(using).order_by("-position").first()
    return StoreDigest(newest.position, bytes(newest.digest)) if newest else StoreDigest()


def seal(using: str, *, up_to: int | None = None) -> int:
    """Seal the next events, at most `MAX_SEALED_EVENTS`; return how many there were.

    The lock comes first, for one sealer at a time; the statements after it, READ COMMITTED, see the seal that the last
    holder of the lock has committed. `up_to` is settled before: no event can appear below it any more.

    Args:
        up_to: a settled position, read before; None to read it now.

    Raises:
        UnsafeRead: the transaction is not READ COMMITTED, or the server is a standby.
    """
    if up_to is None:
        up_to = ordering.settled_position(using)
    with transaction.atomic(using), connections[using].cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock('events_seal'::regclass::oid::int, 0)")
        before = newest_digest(using)
        events = event_digests(before.position, up_to, MAX_SEALED_EVENTS, using)
        if events:
            after = before.followed_by(events)
            cursor.execute(
                "INSERT INTO events_seal (position, after, events, previous, digest, marks, sealed_at)"
                " VALUES (%s, %s, %s, %s, %s, %s, now())",
                [after.position, before.position, len(events), before.value, after.value, marks(events)],
            )
    return len(events)


def marks(events: Iterable[EventDigest]) -> bytes:
    """Return the beginnings of digests, by which an event that does not fit its seal is found."""
    return b"".join(event.value[:MARK_BYTES] for event in events)


def unsealed(using: str) -> Unsealed:
    """Return what no seal covers yet."""
    events = Event.objects.using(using).after(newest_digest(using).position)
    first = events.order_by("position").values_list("recorded_at", flat=True).first()
    return Unsealed(events[: Unsealed.MAX_COUNTED].count() if first else 0, first)
