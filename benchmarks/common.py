"""Helpers of the benchmarks: a new database with events, functions measured in turn, and the table of results."""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

DATABASE = "eventstore_benchmark"
SETTINGS = "benchmarks.settings"
EVENT_DATA = json.dumps({"sku": "MUG-1", "quantity": 2, "price": 12.5, "customer": "customer-17", "note": "x" * 60})


class Report:
    """Prints and collects the rows of the table."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def row(self, name: str, value: float, target: str, met: bool, detail: str) -> None:
        self.rows.append({"name": name, "value": round(value, 3), "target": target, "met": met, "detail": detail})
        mark = "ok  " if met else "MISS"
        print(f"{mark} {name:<44} {value:>9.3f}  target {target:<9} {detail}", flush=True)

    def note(self, name: str, value: float, detail: str) -> None:
        """Add a row without a target."""
        self.rows.append({"name": name, "value": round(value, 3), "target": None, "met": True, "detail": detail})
        print(f"     {name:<44} {value:>9.3f}  {'':<16} {detail}", flush=True)


def options_of(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=5, help="rounds; each figure is their median (%(default)s)")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows to this file too")
    return parser


@contextmanager
def benchmark(options: argparse.Namespace, settings: str = SETTINGS) -> Iterator[Report]:
    """Yield a report on a new database; at the end exit, with status 1 if a target was missed."""
    with database(DATABASE, settings):
        from django.core.management import call_command
        from django.db import connection

        call_command("migrate", verbosity=0)
        setting = {"python": platform.python_version(), "cores": os.cpu_count(), "rounds": options.rounds}
        with connection.cursor() as cursor:
            for name in ("server_version", "fsync", "synchronous_commit", "shared_buffers"):
                cursor.execute(f"SHOW {name}")
                setting[name] = cursor.fetchone()[0]
        print(", ".join(f"{name} {value}" for name, value in setting.items()))
        report = Report()
        yield report
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            options.json.write_text(json.dumps({"setting": setting, "rows": report.rows}, indent=2))
    sys.exit(0 if all(row["met"] for row in report.rows) else 1)


@contextmanager
def database(name: str, settings_module: str) -> Iterator[None]:
    """Create a database as Django's default, also for processes started in the block; drop it at the end."""
    from eventstore_project import postgres

    postgres.join_or_exit()
    import psycopg

    settings = postgres.database_settings()
    login: dict[str, Any] = {each: settings.get(each.upper()) or None for each in ("host", "port", "user", "password")}
    with psycopg.connect(dbname=settings["NAME"], autocommit=True, **login) as server:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        server.execute(f"CREATE DATABASE {name}")
        word = f":{quote(login['password'], safe='')}" if login["password"] else ""
        port = f":{login['port']}" if login["port"] else ""
        host = quote(login["host"] or "", safe="")
        os.environ["DATABASE_URL"] = f"postgres://{login['user']}{word}@{host}{port}/{name}"
        os.environ["DJANGO_SETTINGS_MODULE"] = settings_module
        import django

        django.setup()
        try:
            yield
        finally:
            from django.db import connections

            connections.close_all()
            server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def server() -> Iterator[tuple[int, int]]:
    """Serve the project from a new process; yield its port and process id."""
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.server"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        yield int(process.stdout.readline()), process.pid
    finally:
        process.terminate()
        process.wait()


def fill(events: int) -> None:
    """Append `events` events to 1,000 aggregates by the SQL function; one in a thousand has the type Rare."""
    from django.db import connection

    with connection.cursor() as cursor:
        for start in range(0, events, 10_000):
            cursor.execute(
                """
                SELECT count(*) FROM events_append(
                    ARRAY(SELECT 'item-' || n %% 1000 FROM generate_series(%s::int, %s) AS n),
                    ARRAY(SELECT CASE n %% 1000 WHEN 7 THEN 'Rare' ELSE 'Measured' END
                          FROM generate_series(%s::int, %s) AS n),
                    array_fill(%s::jsonb, ARRAY[%s]), array_fill('{}'::jsonb, ARRAY[%s]),
                    array_fill(NULL::timestamptz, ARRAY[%s]),
                    ARRAY(SELECT gen_random_uuid() FROM generate_series(%s::int, %s)), '{}', '{}')
                """,
                [*[start, start + 9_999] * 2, EVENT_DATA, 10_000, 10_000, 10_000, start, start + 9_999],
            )
        cursor.execute("VACUUM ANALYZE events_event")


def seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def wait_until(condition: Callable[[], Any], what: str, timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"timeout after {timeout_seconds} s: {what}")
        time.sleep(0.01)


def by_turns(rounds: int, *measured: Callable[[], float], turns: int = 1) -> list[float]:
    """Call the functions in turn, `turns` times a round; return for each the median of its sums of a round.

    Turns are short, so that other load on the machine affects all functions alike.
    """
    totals: list[list[float]] = [[] for _ in measured]
    for _ in range(rounds):
        found = [[function() for function in measured] for _ in range(turns)]
        for values, total in zip(zip(*found, strict=True), totals, strict=True):
            total.append(sum(values))
    return [statistics.median(each) for each in totals]


def other_sessions() -> list[int]:
    """Return the process ids of all other sessions of this database."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
            " AND pid <> pg_backend_pid()"
        )
        return [row[0] for row in cursor.fetchall()]
