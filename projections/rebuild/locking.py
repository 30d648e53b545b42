"""The locks of a rebuild that other transactions wait behind, and how long a rebuild waits for them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.db import connections

from events.routing import database
from projections.conf import conf

logger = logging.getLogger(__name__)

FIRST_WAIT_MS: Final = 500
_TRANSIENT_SQLSTATES: Final = ("55P03", "40P01")  # lock_not_available, deadlock_detected

# How long the next attempt waits, by lock: in this process, so that an attempt costs no write.
_waits_ms: dict[str, int] = {}


def lock_out_writers(using: str) -> None:
    """Lock all projections against writers that run them INLINE, until the transaction ends.

    The lock waits for the transactions that already run INLINE projections, and other writers wait behind it.
    """
    with short_wait("writers"), connections[using].cursor() as cursor:
        cursor.execute("SELECT projections_lock_out_writers()")


@contextmanager
def short_wait(key: str) -> Iterator[None]:
    """Wait for locks inside the block for a short time only, because other transactions wait behind the waiting one.

    If the locks are not free in time, the next attempt waits twice as long, up to `PROJECTIONS_MAX_SWAP_WAIT_SECONDS`.
    While a lock is waited for, no further transaction gets it. So the attempt succeeds that waits longer than the
    transactions last, however they overlap.

    Args:
        key: what the locks belong to.
    """
    longest = max(1, round(conf.max_swap_wait_seconds * 1000))
    wait = min(_waits_ms.get(key, FIRST_WAIT_MS), longest)
    with connections[database()].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {wait}")
        try:
            yield
        except Exception:
            _waits_ms[key] = min(2 * wait, longest)
            raise
        cursor.execute("SET LOCAL lock_timeout TO DEFAULT")
    _waits_ms.pop(key, None)


def is_transient(error: Exception) -> bool:
    """Return whether `error` is a lock timeout or a deadlock, so that a later attempt may succeed."""
    transient = getattr(error.__cause__, "sqlstate", None) in _TRANSIENT_SQLSTATES
    if transient:
        logger.info("rebuild=waiting for a transaction that uses the old rows")
    return transient
