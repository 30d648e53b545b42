"""Reads from a physical standby without missing events.

A standby cannot tell how far its readers may read: it receives the values of the sequence before the events, and none
of the locks that mark open appends. So a reader takes three steps, in this order:

1. Read the settled position S from the primary. Every transaction that wrote a position up to S has ended, and its
   commit is in the write-ahead log, because a transaction releases its locks after that.
2. In a later statement, read the end L of the primary's log, which is after all these commits. L is the insert
   position, not the flush position: an asynchronous commit is visible before it is on disk.
3. Wait until the standby has replayed up to L. Its next snapshot then sees these commits.

In another order, L could be before a commit below S, and the reader would skip the events of that commit for ever.
"""

import time

from events.conf import conf
from events.exceptions import StandbyBehind, UnsafeRead

from .query_files import fetch_tuples

FIRST_PAUSE_SECONDS = 0.001
LONGEST_PAUSE_SECONDS = 0.02
NUDGE_AFTER_SECONDS = 0.05

# A transaction that has appended counts its own events as settled, but the standby does not have them yet.
_END = """
    SELECT pg_current_wal_insert_lsn()::text, coalesce(current_setting('events.floor_held', true), '') <> ''
"""
_STATE = """
    SELECT pg_is_in_recovery(), current_setting('transaction_isolation'), pg_last_wal_replay_lsn() >= %s::pg_lsn
"""


def wait_until_replayed(primary: str, standby: str) -> None:
    """Wait until `standby` shows all transactions that were committed on `primary` before this call.

    Raises:
        StandbyBehind: it took longer than `EVENTS_STANDBY_WAIT_SECONDS`.
        UnsafeRead: `standby` is not a standby, its open transaction is not READ COMMITTED, or the open transaction on
            the primary has appended.
    """
    started = time.monotonic()
    end = _end_of_log(primary)
    pause, is_nudged = FIRST_PAUSE_SECONDS, False
    while not _has_replayed(standby, end):
        waited = time.monotonic() - started
        if waited > conf.standby_wait_seconds:
            raise StandbyBehind(standby, waited)
        if waited > NUDGE_AFTER_SECONDS and not is_nudged:
            _nudge(primary)
            is_nudged = True
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _end_of_log(primary: str) -> str:
    ((end, has_appended),) = fetch_tuples(primary, _END)
    if has_appended:
        raise UnsafeRead("a transaction that has appended cannot read a standby: it does not have these events yet")
    return str(end)


def _has_replayed(standby: str, end: str) -> bool:
    ((is_standby, isolation_level, has_replayed),) = fetch_tuples(standby, _STATE, [end])
    if not is_standby:
        raise UnsafeRead(f"the database {standby!r} is not a standby; set `read_from` to the alias of a standby")
    if isolation_level not in ("read committed", "read uncommitted"):
        raise UnsafeRead(f"the whole store cannot be read in a {isolation_level.upper()} transaction of a standby")
    return bool(has_replayed)


def _nudge(primary: str) -> None:
    """Write and commit an empty message on the primary, so that it sends its log up to this point.

    While nothing commits, the log reaches the disk and the standby only after seconds. And if a page of the log has
    just begun, its end is after the page header, where replay does not stop. The message solves both.
    """
    fetch_tuples(primary, "SELECT pg_logical_emit_message(true, 'events', '')")
