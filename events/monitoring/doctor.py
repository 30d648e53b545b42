"""The diagnostics of the store: the preconditions of its guarantees, and signs of trouble to come."""

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from events import storage
from events.integrity.numbers import missing_unique_indexes
from events.integrity.seals import unsealed
from events.models import Seal
from events.storage import server_errors
from events.storage.ordering import settled_position
from events.storage.query_files import fetch_dicts, read_query

from . import statistics
from .diagnostics import Finding, Severity, diagnostic

MAX_OPEN_APPEND: Final = timedelta(minutes=5)
MAX_UNSEALED: Final = timedelta(days=1)
MIN_TIMEOUT: Final = timedelta(seconds=2)
MAX_CLOCK_SKEW: Final = timedelta(seconds=2)
MAX_DEAD_PART: Final = 0.25
MIN_DEAD_ROWS: Final = 50_000
CHECKED_AGGREGATES: Final = 1000
MIN_AGGREGATES: Final = 100

_TABLES: Final = ("events_event", "events_aggregate", "events_seal")
_THEN_VERIFY: Final = "Then run verify_events: events may have been changed in the meantime."
_FOR_OTHERS: Final = {"events_append", "events_append_one", "events_settled_position", "events_seal_next"}
_SQL: Final = Path(storage.__file__).parent / "sql"


def unapplied(using: str, app: str, table: str) -> Iterator[Finding]:
    """Yield a finding when migrations of an app are not applied, or when this role cannot read a table of it."""
    if trouble := server_errors.unreadable(using, table):
        yield Finding(*trouble)
        return
    executor = MigrationExecutor(connections[using])
    leaves = [key for key in executor.loader.graph.leaf_nodes() if key[0] == app]
    if names := [migration.name for migration, _ in executor.migration_plan(leaves)]:
        yield Finding(f"migrations of {app} are not applied: {', '.join(names)}", "python manage.py migrate")


@diagnostic("The migrations of the store are applied")
def migrations(using: str) -> Iterator[Finding]:
    return unapplied(using, "events", "events_event")


@diagnostic("The server does not lose acknowledged events", watched_by="events.view_event")
def server(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, "server")
    if found["version"] < 150_000:
        yield Finding("the server is older than PostgreSQL 15", "Upgrade it.")
    if found["encoding"] != "UTF8":
        yield Finding(f"the database's encoding is {found['encoding']}", "Dump it, and restore it into UTF8.")
    for row in _rows(using, "settings_off", [list(_DURABILITY)]):
        yield Finding(
            f"{row['name']} is off: {_DURABILITY[row['name']]}",
            f"Set {row['name']} = on. It is set to off in: {row['source']}{row['file']}.",
        )
    if not found["date_style"].startswith("ISO"):
        yield Finding(
            f"DateStyle is {found['date_style']!r}: Python cannot read the times of events",
            "Set DateStyle = 'ISO' for the roles of the store, and remove it from OPTIONS in DATABASES and from"
            " PGOPTIONS.",
        )
    if found["isolation"] not in ("read committed", "read uncommitted"):
        yield Finding(
            f"transactions are {found['isolation']} by default: they cannot read the whole store",
            "Set default_transaction_isolation = 'read committed', and no isolation_level in DATABASES.",
            Severity.WARNING,
        )
    if found["is_standby"]:
        yield Finding(
            "this server is a standby: nothing can be appended, and sessions of the primary are not seen here",
            "Run events_doctor on the primary too.",
            Severity.WARNING,
        )
    elif found["read_only"]:
        yield Finding(
            "transactions are read-only by default: nothing can be appended",
            "Set default_transaction_read_only = off for the roles that write.",
        )
    for row in _rows(using, "short_timeouts", [MIN_TIMEOUT]):
        yield Finding(
            f"{row['name']} is {row['value']}: calls of the store that take or wait longer fail",
            f"Set {row['name']} to {MIN_TIMEOUT.seconds} s or more, or to 0, for the roles of the store.",
            Severity.WARNING,
        )


@diagnostic("The guards are in place, and no role passes them by default", watched_by="events.view_event")
def guards(using: str) -> Iterator[Finding]:
    found = {row["name"]: row for row in _rows(using, "installed_triggers", [list(_TABLES)])}
    for name, statement in _guards().items():
        if name not in found:
            yield Finding(f"the trigger {name} is missing: events could be changed", f"{statement} {_THEN_VERIFY}")
        elif not found[name]["enabled"]:
            remedy = f"ALTER TABLE {found[name]['table']} ENABLE TRIGGER {name}; {_THEN_VERIFY}"
            yield Finding(f"the trigger {name} is disabled: events could be changed", remedy)
    for row in _rows(using, "maintenance_settings"):
        yield Finding(
            f"events.maintenance is set for {row['whom']}: all its transactions pass the guards",
            f"{row['remedy']} RESET events.maintenance; {_THEN_VERIFY}",
        )
    for row in _rows(using, "passing_settings"):
        yield Finding(
            f"{row['name']} = {row['value']} on this connection: all its transactions pass the guards",
            "Remove it from OPTIONS in DATABASES, from PGOPTIONS, from postgresql.conf, or from the role (ALTER ROLE"
            f" … RESET {row['name']}). {_THEN_VERIFY}",
        )


@diagnostic("The functions are from this version, and set their own search_path")
def functions(using: str) -> Iterator[Finding]:
    return function_findings(using, "events_", _SQL, _FOR_OTHERS)


def function_findings(using: str, prefix: str, folder: Path, for_others: Collection[str]) -> Iterator[Finding]:
    """Yield the findings on the SQL functions of an app.

    Args:
        prefix: the beginning of their names.
        folder: the folder with their files, and `privileges.sql`.
        for_others: the functions that run with the rights of the owner.
    """
    found = {row["name"]: row for row in _rows(using, "installed_functions", [prefix])}
    exposed = []
    for name, body in _bodies(folder).items():
        function = found.get(name)
        if function is None or function["body"].strip() != body.strip():
            state = "is missing" if function is None else "differs from the one that this version installs"
            remedy = (
                f"As the tables' owner, drop the function if it exists, run the statement of {name} in {folder}, then"
                " privileges.sql there. A new function has no grants: then run what events_grants prints."
            )
            yield Finding(f"the function {name} {state}", remedy)
        elif name in for_others and not (function["definer"] and function["path"]):
            exposed.append(name)
    if exposed:
        yield Finding(
            "functions run with the rights or the search_path of their caller, or with the search_path of a schema that"
            f" was renamed: {', '.join(exposed)}",
            f"As the tables' owner, run {folder / 'privileges.sql'} again.",
        )


@diagnostic("Positions rise one by one, and most are still free", watched_by="events.view_event")
def positions(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, "position_sequence")
    if (found["step"], found["cache"], found["cycles"]) != (1, 1, False):
        yield Finding(
            f"the sequence of positions has INCREMENT {found['step']}, CACHE {found['cache']}"
            f"{', CYCLE' if found['cycles'] else ''}: readers would miss events",
            "ALTER SEQUENCE events_event_position_seq INCREMENT 1 CACHE 1 NO CYCLE",
        )
    if found["last"] < found["newest"]:
        yield Finding(
            f"the sequence of positions is at {found['last']}, but there is an event at {found['newest']}: appends"
            " fail, and readers stop before it",
            f"SELECT setval('events_event_position_seq', {found['newest']})",
        )
    if found["oldest"] < 1:
        yield Finding(
            f"there is an event at position {found['oldest']}: readers begin behind position 0, and pass over it",
            "It was written past the guards. Run verify_events; restore, or remove it as maintenance.",
        )
    if found["last"] > 2**62:
        yield Finding(
            "half of all positions are used", "Find out what has raised the sequence by so much.", Severity.WARNING
        )


@diagnostic("No open transaction holds back the settled position", watched_by="events.view_event")
def open_appends(using: str) -> Iterator[Finding]:
    for each in statistics.open_appends(using):
        age = timezone.now() - each.since if each.since else timedelta.max
        if age > MAX_OPEN_APPEND:
            who = f"session {each.pid}" if each.pid else f"the prepared transaction {each.prepared!r}"
            whose = ", ".join(filter(None, (each.user, each.application, each.client, each.state)))
            yield Finding(
                f"{who} ({whose}) has appended and is still open: readers wait at position {settled_position(using)}",
                f"Find out what it does. SELECT pg_terminate_backend({each.pid}) ends it."
                if each.pid
                else f"COMMIT PREPARED '{each.prepared}' or ROLLBACK PREPARED '{each.prepared}'",
                Severity.WARNING,
                since=each.since,
            )


@diagnostic("The newest events and their aggregates agree")
def aggregates(using: str) -> Iterator[Finding]:
    for row in _rows(using, "disagreeing_aggregates", [CHECKED_AGGREGATES]):
        yield Finding(
            f"aggregate {row['aggregate_id']} is at version {row['version']}, but its last event is {row['last']}",
            "Rows were written without the append functions, or a restore is incomplete. Run verify_events; restore.",
        )


@diagnostic("Aggregates share categories")
def categories(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, "recent_categories", [CHECKED_AGGREGATES])
    if found["aggregates"] >= MIN_AGGREGATES and found["categories"] > found["aggregates"] / 2:
        yield Finding(
            f"the newest {found['aggregates']:,} aggregates, such as {found['example']}, have {found['categories']:,}"
            " categories: filters, charts and permissions by category are of little use",
            "Begin the ids of new aggregates with their kind and a dash, such as order-1001.",
            Severity.WARNING,
        )


@diagnostic("Dead rows are cleaned up, and indexes are valid")
def tables(using: str) -> Iterator[Finding]:
    for row in _rows(using, "table_health", [list(_TABLES)]):
        if row["dead"] > MIN_DEAD_ROWS and row["dead"] > MAX_DEAD_PART * row["live"]:
            yield Finding(
                f"{row['name']} has {row['dead']:,} dead rows beside {row['live']:,} live ones",
                f"VACUUM {row['name']}; look for transactions that stay open, and make autovacuum run more often.",
                Severity.WARNING,
            )
        if row["age"] > 1.5 * row["freeze"]:
            yield Finding(
                f"{row['name']} was last frozen {row['age']:,} transactions ago: autovacuum does not keep up",
                f"VACUUM (FREEZE) {row['name']}",
                Severity.WARNING,
            )
    for columns in missing_unique_indexes(using):
        names = ", ".join(columns)
        yield Finding(
            f"no unique index keeps {names} of events_event unique: two events could have the same",
            f"CREATE UNIQUE INDEX CONCURRENTLY ON events_event ({names}). Then run verify_events.",
        )
    for row in _rows(using, "broken_indexes", [list(_TABLES)]):
        yield Finding(f"the index {row['name']} is not valid", f"REINDEX INDEX CONCURRENTLY {row['name']}")


@diagnostic("The clocks agree", watched_by="events.view_event")
def clocks(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, "clocks")
    skew = abs(timezone.now() - found["now"])
    if skew > MAX_CLOCK_SKEW:
        yield Finding(
            f"this machine's clock and the database server's are {_rounded(skew)} apart",
            "Synchronize both by NTP. The order of events does not depend on clocks, but their times do.",
            Severity.WARNING,
        )
    if found["newest"] and found["newest"] - found["now"] > MAX_CLOCK_SKEW:
        yield Finding(
            f"the newest event was recorded {_rounded(found['newest'] - found['now'])} in the future: the server's"
            " clock was set back",
            "Synchronize it by NTP. Searches by time are inaccurate around this moment.",
            Severity.WARNING,
        )


@diagnostic("Events are sealed regularly, if the store has seals", watched_by="events.view_event")
def seals(using: str) -> Iterator[Finding]:
    if not Seal.objects.using(using).exists():
        return
    since = unsealed(using).since
    if since and timezone.now() - since > MAX_UNSEALED:
        yield Finding(
            "events are not sealed",
            "Run python manage.py seal_events regularly, or set PROJECTIONS_SEALS for the workers.",
            Severity.WARNING,
            since=since,
        )


def _rows(using: str, query: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query of this package as dictionaries."""
    return fetch_dicts(using, read_query(__package__, query), arguments)


def _bodies(folder: Path) -> dict[str, str]:
    """Return the bodies of the functions that this version installs, by name."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(folder.glob("*.sql")))
    return dict(re.findall(r"CREATE FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$;", text, re.DOTALL))


def _guards() -> dict[str, str]:
    """Return the statements that create the triggers, by name."""
    text = (_SQL / "guards.sql").read_text(encoding="utf-8")
    statements = re.findall(r"^(CREATE TRIGGER (\w+) .*?;)$", text, re.DOTALL | re.MULTILINE)
    return {name: " ".join(statement.split()) for statement, name in statements}


def _rounded(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds()))) if duration < timedelta.max else "unknown time"


_DURABILITY: Final = {
    "fsync": "a crash of the machine can destroy the database",
    "full_page_writes": "a crash of the machine can destroy the database",
    "synchronous_commit": "a crash of the server can lose events that were acknowledged",
}
