"""The diagnostics of locks that stop the store: who holds them, since when, what they stop, and the remedy."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from events.plurals import number_of
from events.storage.query_files import fetch_dicts, read_query

from .diagnostics import Finding, Severity, diagnostic

MAX_HELD: Final = timedelta(minutes=1)

# What stops while a session keeps others out of a table; without a name: the projections.
_STOPPED: Final = {
    "events_event": "appends",
    "events_aggregate": "appends",
    "events_seal": "sealing",
    "projections_inline_lock": "appends that run INLINE projections",
}


@diagnostic("No session holds up appends, seals or projections by a lock", watched_by="events.view_event")
def holders(using: str) -> Iterator[Finding]:
    for row in fetch_dicts(using, read_query(__package__, "lock_holders"), [MAX_HELD, MAX_HELD]):
        waiting = f"; {number_of(row['waiting'], 'waiting session')}" if row["waiting"] else ""
        stopped = dict.fromkeys(_STOPPED.get(table, "projections") for table in row["closed"])
        what = f"it stops {', '.join(stopped)}" if stopped else f"it has written to {', '.join(row['tables'])}"
        yield Finding(
            f"{_session(row)} holds locks of the store: {what}{waiting}",
            _remedy(row),
            Severity.WARNING,
            since=row["since"],
        )


@diagnostic("Only sessions that append hold a floor", watched_by="events.view_event")
def false_floors(using: str) -> Iterator[Finding]:
    for row in fetch_dicts(using, read_query(__package__, "false_floors")):
        yield Finding(
            f"{_session(row)} holds an advisory lock that belongs to appends, and does not append (connected since"
            f" {row['since']:%Y-%m-%d %H:%M:%S %Z}): readers of the whole store wait for it",
            f"{_remedy(row)} Then find the program that takes it with this role.",
        )


def _session(row: dict[str, Any]) -> str:
    who = f"session {row['pid']}" if row["pid"] else f"the prepared transaction {row['prepared']!r}"
    return f"{who} ({', '.join(filter(None, (row['user'], row['application'], row['client'], row['state'])))})"


def _remedy(row: dict[str, Any]) -> str:
    if row["pid"]:
        return f"Look at what it does (pg_stat_activity). SELECT pg_terminate_backend({row['pid']}) ends it."
    return f"COMMIT PREPARED '{row['prepared']}' or ROLLBACK PREPARED '{row['prepared']}'"
