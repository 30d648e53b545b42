"""Event ids for lines without one, derived from their content, so that an import can be repeated."""

import hmac
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

from events.jsonb import encode
from events.storage.identity import uuid8
from events.validation import ValidatedEvent

_SORTED = json.JSONEncoder(sort_keys=True)
_KEYS_PER_QUERY = 1000


class DerivedIds:
    """Derives the ids of the lines of one import.

    Equal lines are different events: each occurrence of a content gets its own id. A temporary database counts the
    occurrences; SQLite moves it to disk when it grows, so memory stays flat.
    """

    def __init__(self, secret: bytes, source: str = "") -> None:
        """
        Args:
            secret: the secret of the store, which the ids depend on.
            source: the name of where the lines come from, which the ids depend on too.
        """
        self._secret = hmac.digest(secret, source.encode("utf-8", "surrogatepass"), "sha256") if source else secret
        # One thread may derive the ids and another may close this object.
        self._seen = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        # A part of the digest is the key: SQLite is twice as fast with an integer. Different contents with equal keys
        # would share a count, and so get other ids in another file; in ten million lines there is hardly one such pair.
        self._seen.execute("CREATE TABLE seen (content INTEGER PRIMARY KEY, occurrences INTEGER)")
        self._seen.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._seen.close()

    def derive(self, rows: Sequence[ValidatedEvent]) -> list[UUID]:
        """Return an id for each row; the row's own id counts for nothing."""
        digests = [self._digest(row) for row in rows]
        keys = [int.from_bytes(digest[8:], "big", signed=True) for digest in digests]
        if self._add_new(keys):
            return list(map(uuid8, digests))
        occurrences = self._occurrences(keys)
        ids = []
        for digest, key in zip(digests, keys, strict=True):
            occurrences[key] += 1
            ids.append(_id(self._secret, digest, occurrences[key]))
        self._seen.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", occurrences.items())
        return ids

    def _add_new(self, keys: list[int]) -> bool:
        """Note the first occurrence of each key, the usual case; return False and note nothing if a key is known."""
        self._seen.execute("SAVEPOINT keys")
        try:
            self._seen.executemany("INSERT INTO seen VALUES (?, 1)", zip(keys, strict=True))
        except sqlite3.IntegrityError:
            self._seen.execute("ROLLBACK TO keys")
            return False
        finally:
            self._seen.execute("RELEASE keys")
        return True

    def _occurrences(self, keys: list[int]) -> Counter[int]:
        found: Counter[int] = Counter()
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            some = keys[start : start + _KEYS_PER_QUERY]
            query = f"SELECT content, occurrences FROM seen WHERE content IN ({', '.join('?' * len(some))})"  # noqa: S608
            found |= Counter(dict(self._seen.execute(query, some)))
        return found

    def _digest(self, row: ValidatedEvent) -> bytes:
        happened = row.timestamp.isoformat() if row.timestamp else ""
        # No name, and no JSON text, contains the separator.
        place = f"{row.aggregate_id}\0{row.type}\0{happened}\0".encode()
        content = b"%b%b\0%b" % (place, _text(row.data), _text(row.metadata))
        return hmac.digest(self._secret, content, "sha256")[:16]


def _id(secret: bytes, digest: bytes, occurrence: int) -> UUID:
    if occurrence == 1:
        return uuid8(digest)
    return uuid8(hmac.digest(secret, digest + occurrence.to_bytes(8, "big"), "sha256"))


def _text(value: Any) -> bytes:
    """Return the JSON text of a value, the same for each order of its names."""
    if not value:
        return b"{}"
    try:
        return encode(value, sort_keys=True)
    except TypeError:  # an integer of more than 64 bits, or deep
        return _SORTED.encode(value).encode()
