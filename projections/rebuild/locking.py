"""The lock between a rebuild and the writers that run a projection INLINE."""

import logging
from typing import Final

from django.db import connections

logger = logging.getLogger(__name__)

# How long the swap of an INLINE projection waits for transactions that use the old rows; appends wait behind it.
SWAP_LOCK_TIMEOUT_MS: Final = 500
_TRANSIENT_SQLSTATES: Final = ("55P03", "40P01")  # lock_not_available, deadlock_detected


def lock_out_writers(using: str) -> None:
    """Lock all projections against writers that run them INLINE, until the transaction ends.

    The lock waits for the transactions that already run INLINE projections, and other writers wait behind it. So it
    times out after `SWAP_LOCK_TIMEOUT_MS` if such a transaction stays open.
    """
    with connections[using].cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {SWAP_LOCK_TIMEOUT_MS}")
        cursor.execute("SELECT projections_lock_out_writers()")
        cursor.execute("SET LOCAL lock_timeout = 0")


def is_transient(error: Exception) -> bool:
    """Return whether `error` is a lock timeout or a deadlock, so that a later attempt may succeed."""
    transient = getattr(error.__cause__, "sqlstate", None) in _TRANSIENT_SQLSTATES
    if transient:
        logger.info("rebuild=waiting for a transaction that uses the old rows")
    return transient
