"""The header `Idempotency-Key`: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/"""

import re
from typing import NamedTuple

from rest_framework.request import Request

from events.exceptions import InvalidEvent

from .authentication import user_key


class IdempotencyKey(NamedTuple):
    """A key and the user to whom it belongs: the same text of another user is another key."""

    user: str
    text: str


def key(request: Request) -> IdempotencyKey | None:
    """Return the idempotency key of a request; None without one.

    Raises:
        InvalidEvent: the header is not valid, or the user has no primary key.
    """
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    # The draft standard has the key in quotes; most clients send it without. Servers join two headers by a comma.
    quoted = re.fullmatch(r'"((?:[^"\\]|\\.)*)"', given)
    if not quoted and ("," in given or given.startswith('"')):
        raise InvalidEvent(
            "Idempotency-Key", "is given more than once, or has a comma or a quotation mark; send one, in quotes"
        )
    bare = quoted[1] if quoted else given
    if not re.fullmatch(r"[!-~](?:[ -~]{0,253}[!-~])?", bare):
        raise InvalidEvent("Idempotency-Key", "must have 1 to 255 printable ASCII characters; send a UUID, for example")
    user = user_key(request)
    if user is None:
        raise InvalidEvent(
            "Idempotency-Key", "needs a user with a primary key, to whom the key belongs; send event ids instead"
        )
    return IdempotencyKey(user, bare)
