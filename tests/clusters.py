"""Other PostgreSQL clusters than that of the tests: filled from a dump of it, and standbys."""

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from eventstore_project.cluster import DATABASE, SUPERUSER, Cluster, PostgresUnavailable
from eventstore_project.postgres import find_bindir, private_cluster, server_account


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that the account a server runs as can enter. Those of pytest are closed to it."""
    with tempfile.TemporaryDirectory(prefix="eventstore-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@contextmanager
def cluster_in(folder: Path) -> Iterator[Cluster]:
    """Another PostgreSQL than that of the tests."""
    try:
        bindir = private_cluster().bindir
    except PostgresUnavailable:
        pytest.skip("there are no PostgreSQL binaries here to make a second cluster with")
    cluster = Cluster(folder / "cluster", bindir, server_account())
    fill(cluster)
    cluster.join()
    yield cluster
    cluster.leave()


def fill(cluster: Cluster) -> None:
    """Copy an empty cluster, and the binaries it may need, to where `cluster` will be: faster than initdb."""
    template = _template()
    cluster.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    if cluster.account:
        os.chown(cluster.home, cluster.account.pw_uid, cluster.account.pw_gid)
    subprocess.run(["cp", "-a", template.data, cluster.data], check=True)
    if (install := template.home / "install").exists():
        # Hard links: nobody writes to binaries.
        subprocess.run(["cp", "-al", install, cluster.home / "install"], check=True)


@cache
def _template() -> Cluster:
    """Make an empty cluster, once a process; it does not run."""
    folder = tempfile.mkdtemp(prefix="eventstore-test-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Path(folder).chmod(0o711)
    template = Cluster(Path(folder) / "template", find_bindir(), server_account())
    template.join()
    template.leave()
    return template


def restore_into(cluster: Cluster) -> None:
    """Fill the cluster's empty database with a dump of the test's."""
    dump = [cluster.bindir / "pg_dump", "--no-owner", *_target()]
    restore = [cluster.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", str(cluster.sockets)]
    text = subprocess.run(dump, capture_output=True, check=True, env=_environment()).stdout
    subprocess.run([*restore, "-U", SUPERUSER, "-d", DATABASE], input=text, check=True, capture_output=True)


def connect_to(cluster: Cluster) -> "psycopg.Connection[Any]":
    return psycopg.connect(host=str(cluster.sockets), user=SUPERUSER, dbname=DATABASE, autocommit=True)


@contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """A standby that follows `primary` as fast as it can."""
    standby = Cluster(primary.home.parent / "standby", primary.bindir, primary.account)
    standby._make_private(standby.home)
    standby._run("pg_basebackup", "-h", primary.sockets, "-U", SUPERUSER, "-D", standby.data, "--checkpoint=fast")
    with (standby.data / "postgresql.conf").open("a") as settings:
        settings.write(f"\nprimary_conninfo = 'host={primary.sockets} user={SUPERUSER}'\n")
    (standby.data / "standby.signal").touch()
    standby.join()
    try:
        yield standby
    finally:
        standby.leave()


def _target() -> list[str]:
    settings = connection.settings_dict
    options = {"-h": settings["HOST"], "-p": settings["PORT"], "-U": settings["USER"], "-d": settings["NAME"]}
    return [part for option, value in options.items() if value for part in (option, str(value))]


def _environment() -> dict[str, str]:
    password = connection.settings_dict["PASSWORD"]
    return {**os.environ, "PGPASSWORD": password} if password else {**os.environ}
