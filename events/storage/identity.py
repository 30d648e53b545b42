"""The row of the table `events_store`: the secret for derived event ids, and the limit on the size of an event."""

import hmac
import json
from typing import Any
from uuid import UUID

from django.db import connections

from events.conf import conf

from .query_files import fetch_tuples

_secrets: dict[tuple[str, str], bytes] = {}


def derived_id(using: str, *parts: str | int) -> UUID:
    """Return the event id that the store derives from `parts`. Callers without the secret cannot compute it.

    Args:
        parts: the first one names the kind of id, so that different kinds never collide.
    """
    return uuid8(hmac.digest(secret(using), json.dumps(parts).encode(), "sha256"))


def secret(using: str) -> bytes:
    """Return the secret of the store in the database with the alias `using`; it is read once per process."""
    key = (using, str(connections[using].settings_dict["NAME"]))
    if key not in _secrets:
        _secrets[key] = bytes(fetch_tuples(using, "SELECT secret FROM events_store")[0][0])
    return _secrets[key]


def uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8, with bits that the application chooses (RFC 9562, section 5.8), from a digest."""
    bits = int.from_bytes(digest[:16], "big")
    bits = bits & ~(0xF << 76) | (8 << 76)
    return UUID(int=bits & ~(0b11 << 62) | (0b10 << 62))


def save_limits(using: str, **kwargs: Any) -> None:
    """Tell the database the limit on the size of an event; a receiver of `post_migrate`."""
    _secrets.clear()  # a database of this name may be new
    if not fetch_tuples(using, "SELECT to_regclass('events_store') IS NOT NULL")[0][0]:
        return  # this database has no store, or its migrations are reversed
    with connections[using].cursor() as cursor:
        cursor.execute(
            "UPDATE events_store SET max_event_bytes = %s WHERE max_event_bytes <> %s", [conf.max_event_bytes] * 2
        )
