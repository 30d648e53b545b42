"""Reading from a physical standby without missing events.

A standby alone cannot say how far its readers may read: it has the sequence's values before the events, and none of the
locks that mark open appends. So the primary says it, and the standby is waited for:

1. the settled position S, from the primary: whatever wrote a position up to S has ended, and its commit is in the
   write-ahead log, because locks go after that;
2. in a later statement, the end L of the primary's log: it lies behind all those commits. The end of what is inserted,
   not of what is on disk: a commit that does not wait for the disk is visible before it is there;
3. until the standby has replayed up to L. It has then replayed those commits, and its next snapshot sees them.

In the other order L could lie before a commit that S counts, and the reader would pass over its events for good.
"""

import time

from django.db import connections

from events.conf import conf
from events.exceptions import StandbyBehind, UnsafeRead

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02
NUDGE_AFTER_SECONDS = 0.05

# A transaction's own appends do not lower its settled position, for there it sees its events.
_END = """
    SELECT pg_current_wal_insert_lsn()::text, coalesce(current_setting('events.floor_held', true), '') <> ''
"""
_STATE = """
    SELECT pg_is_in_recovery(), current_setting('transaction_isolation'), pg_last_wal_replay_lsn() >= %s::pg_lsn
"""


def wait_until_replayed(primary: str, replica: str) -> None:
    """Return when `replica` shows all that was committed on `primary` before this call.

    Raises:
        StandbyBehind: it took longer than `EVENTS_STANDBY_WAIT_SECONDS`.
        UnsafeRead: `replica` is no standby, or its open transaction reads an older snapshot; or the open transaction on
            the primary has appended.
    """
    started = time.monotonic()
    end = _end_of_log(primary)
    pause, is_nudged = FIRST_PAUSE_SECONDS, False
    while not _has_replayed(replica, end):
        waited = time.monotonic() - started
        if waited > conf.standby_wait_seconds:
            raise StandbyBehind(replica, waited)
        if waited > NUDGE_AFTER_SECONDS and not is_nudged:
            _nudge(primary)
            is_nudged = True
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _end_of_log(primary: str) -> str:
    with connections[primary].cursor() as cursor:
        cursor.execute(_END)
        end, has_appended = cursor.fetchone()
    if has_appended:
        raise UnsafeRead("a standby cannot be read in the transaction that appends: it does not have these events yet")
    return str(end)


def _has_replayed(replica: str, end: str) -> bool:
    with connections[replica].cursor() as cursor:
        cursor.execute(_STATE, [end])
        is_standby, isolation_level, has_replayed = cursor.fetchone()
    if not is_standby:
        raise UnsafeRead(f"the database {replica!r} is no standby: what it has of the primary cannot be known")
    if isolation_level not in ("read committed", "read uncommitted"):
        raise UnsafeRead(f"the whole store cannot be read in a {isolation_level.upper()} transaction of a standby")
    return bool(has_replayed)


def _nudge(primary: str) -> None:
    """Have the primary write and send its log up to here.

    While nothing commits, what is inserted reaches the disk, and with it the standby, after seconds only; and where a
    page of the log has just been begun, the end lies behind its head, where the replay does not stop. A message that
    nobody reads moves both on.
    """
    with connections[primary].cursor() as cursor:
        cursor.execute("SELECT pg_logical_emit_message(true, 'events', '')")
