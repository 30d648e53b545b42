"""The examinations of the store: is everything in place that its guarantees rest on, and does nothing grow or stall?"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from . import sealing, statistics
from .examinations import Finding, Severity, examination
from .models import Seal

MAX_OPEN_APPEND: Final = timedelta(minutes=5)
MAX_UNSEALED: Final = timedelta(days=1)
MAX_CLOCK_SKEW: Final = timedelta(seconds=2)
MAX_DEAD_PART: Final = 0.25
MIN_DEAD_ROWS: Final = 50_000
CHECKED_AGGREGATES: Final = 1000

_TABLES: Final = ("events_event", "events_aggregate", "events_seal")
_THEN_VERIFY: Final = "Then verify_events: something may have been changed meanwhile."
_FOR_OTHERS: Final = {"events_append", "events_append_one", "events_settled_position"}
_SQL: Final = Path(__file__).parent / "sql"


def unapplied(using: str, app: str) -> Iterator[Finding]:
    """Yield a finding when migrations of an app are not applied."""
    executor = MigrationExecutor(connections[using])
    leaves = [key for key in executor.loader.graph.leaf_nodes() if key[0] == app]
    if names := [migration.name for migration, _ in executor.migration_plan(leaves)]:
        yield Finding(f"migrations of {app} are not applied: {', '.join(names)}", "python manage.py migrate")


@examination("The migrations of the store are applied")
def migrations(using: str) -> Iterator[Finding]:
    return unapplied(using, "events")


@examination("The server keeps what it has acknowledged")
def server(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, _SERVER)
    if found["version"] < 150_000:
        yield Finding("the server is older than PostgreSQL 15", "Upgrade it.")
    if found["encoding"] != "UTF8":
        yield Finding(f"the database's encoding is {found['encoding']}", "Dump it, and restore it into one of UTF8.")
    for row in _rows(using, _SWITCHED_OFF, [list(_DURABILITY)]):
        yield Finding(
            f"{row['name']} is off: {_DURABILITY[row['name']]}",
            f"Set {row['name']} = on. It is off by: {row['source']}{row['file']}.",
        )
    if found["isolation"] not in ("read committed", "read uncommitted"):
        yield Finding(
            f"transactions are {found['isolation']} by default: the whole store cannot be read in them",
            "Set default_transaction_isolation = 'read committed', and no other isolation_level in DATABASES.",
            Severity.WARNING,
        )


@examination("The guards are in place, and nobody passes them by default")
def guards(using: str) -> Iterator[Finding]:
    found = {row["name"]: row for row in _rows(using, _TRIGGERS, [list(_TABLES)])}
    for name, statement in _guards().items():
        if name not in found:
            yield Finding(f"the trigger {name} is not there: events could be changed", f"{statement} {_THEN_VERIFY}")
        elif not found[name]["enabled"]:
            remedy = f"ALTER TABLE {found[name]['table']} ENABLE TRIGGER {name}; {_THEN_VERIFY}"
            yield Finding(f"the trigger {name} is disabled: events could be changed", remedy)
    for row in _rows(using, _PASSING):
        yield Finding(
            f"events.maintenance is set for {row['whom']}: it passes the guards",
            f"{row['remedy']} RESET events.maintenance; {_THEN_VERIFY}",
        )


@examination("The functions are those of this version, and keep their own search_path")
def functions(using: str) -> Iterator[Finding]:
    found = {row["name"]: row for row in _rows(using, _FUNCTIONS)}
    for name, body in _bodies().items():
        function = found.get(name)
        if function is None or function["body"].strip() != body.strip():
            state = "is not there" if function is None else "is not what this version installs"
            remedy = (
                f"As the tables' owner: DROP FUNCTION IF EXISTS, then run the statement of {name} in {_SQL}, then"
                " privileges_1.sql there; a function made anew has lost its grants: then what events_grants prints."
            )
            yield Finding(f"the function {name} {state}", remedy)
        elif name in _FOR_OTHERS and not (function["definer"] and function["path"]):
            yield Finding(
                f"the function {name} runs with its caller's rights, or search_path",
                f"As the tables' owner, run {_SQL / 'privileges_1.sql'} again.",
            )


@examination("Positions rise, one by one, and there are plenty left")
def positions(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, _SEQUENCE)
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
    if found["last"] > 2**62:
        yield Finding(
            "half of all positions are used", "Nothing you will live to see; ask how it came.", Severity.WARNING
        )


@examination("No open transaction holds the settled position back")
def open_appends(using: str) -> Iterator[Finding]:
    for each in statistics.open_appends(using):
        age = timezone.now() - each.since if each.since else timedelta.max
        if age > MAX_OPEN_APPEND:
            who = f"session {each.pid}" if each.pid else f"the prepared transaction {each.prepared!r}"
            whose = ", ".join(filter(None, (each.user, each.application, each.client, each.state)))
            yield Finding(
                f"{who} ({whose}) has appended and is open for {_rounded(age)}: readers wait at position"
                f" {_settled(using)}",
                f"Find out what it is. SELECT pg_terminate_backend({each.pid}) ends it."
                if each.pid
                else f"COMMIT PREPARED '{each.prepared}' or ROLLBACK PREPARED '{each.prepared}'",
                Severity.WARNING,
            )


@examination("The newest events and their aggregates agree")
def aggregates(using: str) -> Iterator[Finding]:
    for row in _rows(using, _DISAGREEING, [CHECKED_AGGREGATES]):
        yield Finding(
            f"aggregate {row['aggregate_id']} is at version {row['version']}, its last event is {row['last']}",
            "Something wrote past the append function, or a restore is not complete. Run verify_events; restore.",
        )


@examination("Dead rows are cleaned up, and indexes are whole")
def tables(using: str) -> Iterator[Finding]:
    for row in _rows(using, _VACUUM, [list(_TABLES)]):
        if row["dead"] > MIN_DEAD_ROWS and row["dead"] > MAX_DEAD_PART * row["live"]:
            yield Finding(
                f"{row['name']} has {row['dead']:,} dead rows beside {row['live']:,} live ones",
                f"VACUUM {row['name']}; look for transactions that stay open, and let autovacuum work harder.",
                Severity.WARNING,
            )
        if row["age"] > 1.5 * row["freeze"]:
            yield Finding(
                f"{row['name']} was last frozen {row['age']:,} transactions ago: autovacuum does not keep up",
                f"VACUUM (FREEZE) {row['name']}",
                Severity.WARNING,
            )
    for row in _rows(using, _BROKEN_INDEXES, [list(_TABLES)]):
        yield Finding(f"the index {row['name']} is not valid", f"REINDEX INDEX CONCURRENTLY {row['name']}")


@examination("The clocks agree")
def clocks(using: str) -> Iterator[Finding]:
    (found,) = _rows(using, _CLOCK)
    skew = abs(timezone.now() - found["now"])
    if skew > MAX_CLOCK_SKEW:
        yield Finding(
            f"this machine's clock and the database server's are {_rounded(skew)} apart",
            "Have both set by NTP. Order never comes from clocks; times of events do.",
            Severity.WARNING,
        )
    if found["newest"] and found["newest"] - found["now"] > MAX_CLOCK_SKEW:
        yield Finding(
            f"the newest event was recorded {_rounded(found['newest'] - found['now'])} in the future: the server's"
            " clock was set back",
            "Have it set by NTP. Searches by time are off until then.",
            Severity.WARNING,
        )


@examination("Seals are kept up, where events are sealed")
def seals(using: str) -> Iterator[Finding]:
    if not Seal.objects.using(using).exists():
        return
    since = sealing.unsealed(using).since
    if since and timezone.now() - since > MAX_UNSEALED:
        yield Finding(
            f"events are not sealed since {since:%Y-%m-%d %H:%M %Z}",
            "python manage.py seal_events; have it run regularly, or set PROJECTIONS_SEALS for the workers.",
            Severity.WARNING,
        )


def _rows(using: str, query: str, arguments: Sequence[Any] = ()) -> list[Mapping[str, Any]]:
    with connections[using].cursor() as cursor:
        cursor.execute(query, arguments)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _bodies() -> dict[str, str]:
    """Return the body of each function, by its name, as this version installs it."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(_SQL.glob("*_1.sql")))
    return dict(re.findall(r"CREATE FUNCTION (\w+)\(.*?AS \$\$(.*?)\$\$;", text, re.DOTALL))


def _guards() -> dict[str, str]:
    """Return the statement that makes each trigger, by its name."""
    text = (_SQL / "guards_1.sql").read_text(encoding="utf-8")
    statements = re.findall(r"^(CREATE TRIGGER (\w+) .*?;)$", text, re.DOTALL | re.MULTILINE)
    return {name: " ".join(statement.split()) for statement, name in statements}


def _settled(using: str) -> str:
    with connections[using].cursor() as cursor:
        cursor.execute("SELECT events_settled_position()")
        return f"{cursor.fetchone()[0]}"


def _rounded(duration: timedelta) -> str:
    return str(timedelta(seconds=round(duration.total_seconds()))) if duration < timedelta.max else "unknown time"


_DURABILITY: Final = {
    "fsync": "a crash of the machine can destroy the database",
    "full_page_writes": "a crash of the machine can destroy the database",
    "synchronous_commit": "a crash of the server can lose events that were acknowledged",
}

_SERVER = """
    SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
           current_setting('default_transaction_isolation') AS isolation
"""

_SWITCHED_OFF = """
    SELECT name, source, coalesce(' ' || sourcefile, '') AS file FROM pg_settings
    WHERE name = ANY (%s::text[]) AND setting = 'off' ORDER BY name
"""

_TRIGGERS = """
    SELECT t.tgname AS name, t.tgrelid::regclass::text AS table, t.tgenabled IN ('O', 'A') AS enabled
    FROM pg_trigger AS t WHERE t.tgrelid = ANY (SELECT unnest(%s::text[])::regclass)
"""

_PASSING = """
    SELECT concat_ws(' in ', coalesce(r.rolname, 'every role'), d.datname) AS whom,
           CASE WHEN r.rolname IS NULL THEN 'ALTER DATABASE ' || quote_ident(d.datname)
                ELSE 'ALTER ROLE ' || quote_ident(r.rolname) || coalesce(' IN DATABASE ' || quote_ident(d.datname), '')
           END AS remedy
    FROM pg_db_role_setting AS s
    LEFT JOIN pg_roles AS r ON r.oid = s.setrole LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
    WHERE (s.setdatabase = 0 OR d.datname = current_database())
      AND EXISTS (SELECT FROM unnest(s.setconfig) AS each WHERE each LIKE 'events.maintenance=%%')
"""

_FUNCTIONS = """
    SELECT p.proname AS name, p.prosrc AS body, p.prosecdef AS definer,
           EXISTS (SELECT FROM unnest(p.proconfig) AS each WHERE each LIKE 'search_path=pg_catalog, %%') AS path
    FROM pg_proc AS p
    WHERE p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events_event'::regclass)
      AND starts_with(p.proname, 'events_')
"""

_SEQUENCE = """
    SELECT s.seqincrement AS step, s.seqcache AS cache, s.seqcycle AS cycles,
           CASE WHEN v.is_called THEN v.last_value ELSE 0 END AS last,
           coalesce((SELECT max(position) FROM events_event), 0) AS newest
    FROM pg_sequence AS s, events_event_position_seq AS v
    WHERE s.seqrelid = 'events_event_position_seq'::regclass
"""

# Of those that moved last. One statement has one snapshot: both sides of the comparison are of the same moment.
_DISAGREEING = """
    SELECT a.aggregate_id, a.version, e.last
    FROM (SELECT DISTINCT aggregate_id FROM
             (SELECT aggregate_id FROM events_event ORDER BY position DESC LIMIT %s) AS newest) AS n
    JOIN events_aggregate AS a USING (aggregate_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(max(version), 0) AS last FROM events_event WHERE aggregate_id = n.aggregate_id
    ) AS e
    WHERE a.version <> e.last
    LIMIT 5
"""

_VACUUM = """
    SELECT c.relname AS name, coalesce(s.n_dead_tup, 0) AS dead, coalesce(s.n_live_tup, 0) AS live,
           age(c.relfrozenxid) AS age, current_setting('autovacuum_freeze_max_age')::bigint AS freeze
    FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
    WHERE c.oid = ANY (SELECT unnest(%s::text[])::regclass)
"""

_BROKEN_INDEXES = """
    SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i
    WHERE i.indrelid = ANY (SELECT unnest(%s::text[])::regclass) AND NOT (i.indisvalid AND i.indisready)
"""

_CLOCK = """
    SELECT clock_timestamp() AS now,
           (SELECT recorded_at FROM events_event ORDER BY position DESC LIMIT 1) AS newest
"""
