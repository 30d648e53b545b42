"""Commands that run once for each idempotency key, whatever the client repeats."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, cast
from uuid import UUID

from django.db import connections, transaction

from .models import CommandAnswer


class KeyReused(Exception):
    """An earlier request with the key had other arguments."""


def answer_once(
    key: UUID, arguments: Mapping[str, Any], run: Callable[[], dict[str, Any]], using: str
) -> dict[str, Any]:
    """Return the answer that was stored for a key; without one, run the command, and store its answer with its events.

    The row of the key is inserted first. Another request with the key waits there for the end of this transaction:
    after the commit it inserts nothing, and its next statement, with a snapshot of its own, reads the answer; after a
    rollback it inserts the row and runs the command itself. So an answer exists if and only if the events are stored,
    and a command that raises an error leaves no answer.

    Args:
        arguments: as JSON data; a request that repeats the key must have the same.

    Raises:
        KeyReused: the key belongs to other arguments.
        Exception: what `run` raises.
    """
    digest = sha256(json.dumps(arguments, sort_keys=True).encode("utf-8", "surrogatepass")).digest()
    answers = CommandAnswer.objects.using(using).filter(key=key)
    with transaction.atomic(using):
        while not _insert(key, digest, using):
            stored = answers.first()
            if stored is None:  # it was old, and has been removed since the insertion met it
                continue
            if bytes(stored.body_digest) != digest:
                raise KeyReused
            return cast("dict[str, Any]", stored.answer)
        answer = run()
        answers.update(answer=answer)
        return answer


def _insert(key: UUID, digest: bytes, using: str) -> bool:
    """Insert the row of a key, and return whether there was none."""
    with connections[using].cursor() as cursor:
        cursor.execute(
            "INSERT INTO events_domain_commandanswer (key, body_digest, handled_at) VALUES (%s, %s, now())"
            " ON CONFLICT (key) DO NOTHING",
            [key, digest],
        )
        return bool(cursor.rowcount == 1)
