"""The row of the table `events_store`: the secret for derived event ids, and the limit on the size of an event."""

import hmac
import json
from typing import Any, Final
from uuid import UUID

from django.db import connections

from events.conf import conf

from .query_files import fetch_tuples

# The bits of a UUID that are free, and those of its version and its variant.
_FREE: Final = (1 << 128) - 1 & ~(0xF << 76) & ~(0b11 << 62)
_VERSION_8: Final = (8 << 76) | (0b10 << 62)

_secrets: dict[tuple[str, str], bytes] = {}


def derived_id(using: str, *parts: str | int) -> UUID:
    """Return the event id that the store derives from `parts`. Callers without the secret cannot compute it.

    Args:
        parts: the first one names the kind of id, so that different kinds never collide.
    """
    return id_of(secret(using), *parts)


def id_of(secret_of_store: bytes, *parts: str | int) -> UUID:
    """Return the id of `derived_id`, for a caller that derives many ids in one transaction."""
    return uuid8(hmac.digest(secret_of_store, json.dumps(parts).encode(), "sha256"))


def secret(using: str) -> bytes:
    """Return the secret of the store in the database with the alias `using`; it is read once per process."""
    key = (using, str(connections[using].settings_dict["NAME"]))
    if key not in _secrets:
        _secrets[key] = bytes(fetch_tuples(using, "SELECT secret FROM events_store")[0][0])
    return _secrets[key]


def uuid8(digest: bytes) -> UUID:
    """Return a UUID of version 8, with bits that the application chooses (RFC 9562, section 5.8), from a digest."""
    return UUID(int=int.from_bytes(digest[:16], "big") & _FREE | _VERSION_8)


def save_limits(using: str, **kwargs: Any) -> None:
    """Tell the database the limit on the size of an event; a receiver of `post_migrate`."""
    _secrets.clear()  # a database of this name may be new
    if not fetch_tuples(using, "SELECT to_regclass('events_store') IS NOT NULL")[0][0]:
        return  # this database has no store, or its migrations are reversed
    with connections[using].cursor() as cursor:
        cursor.execute(
            "UPDATE events_store SET max_event_bytes = %s WHERE max_event_bytes <> %s", [conf.max_event_bytes] * 2
        )
