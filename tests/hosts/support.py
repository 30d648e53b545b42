"""Other people's ways to reach the database: connections by other settings, and a pooler in between."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from django.db import connections

from eventstore_project.cluster import run_as
from eventstore_project.postgres import server_account
from tests.support import Wait

PORT = 6432  # part of the socket's name; nobody listens on TCP

CONFIGURATION = """[databases]
* = host='{host}' port={port}

[pgbouncer]
listen_addr =
listen_port = {own_port}
unix_socket_dir = {folder}
auth_type = trust
auth_file = {folder}/users.txt
logfile = {folder}/pgbouncer.log
pidfile =
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
; The next transaction of a client meets another connection to the server, whenever there is one.
server_round_robin = 1
"""


@contextmanager
def connected_by(changes: Mapping[str, Any], alias: str = "default") -> Iterator[None]:
    """Have every thread connect by other settings until the end of the block; what is in them replaces, by name."""
    # The connections of all threads share this dictionary.
    settings = connections.settings[alias]
    before = dict(settings)
    connections[alias].close()
    settings.update(changes)
    try:
        yield
    finally:
        connections[alias].close()
        connections[alias].close_pool()
        settings.clear()
        settings.update(before)


class PgBouncer:
    """A pgbouncer in transaction mode before the test's server, on a Unix socket in a folder of its own."""

    def __init__(self, folder: Path, *, server_connections: int = 4) -> None:
        self.folder = folder / "pgbouncer"
        self._server_connections = server_connections
        self._account = server_account()  # it rejects to be root, as PostgreSQL does

    @staticmethod
    def program() -> str | None:
        """Return where it is; Debian has it in a folder for administrators."""
        return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

    @property
    def settings(self) -> dict[str, Any]:
        """What to change in the settings of a database for a connection through it."""
        return {"HOST": str(self.folder), "PORT": PORT}

    def __enter__(self) -> Self:
        self._write_configuration()
        program = self.program()
        assert program
        self._process = subprocess.Popen(
            [program, "-q", self.folder / "pgbouncer.ini"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **run_as(self._account),
        )
        Wait.until(self._answers, what="pgbouncer answers")
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._process.terminate()  # at once, even while clients are connected
        self._process.wait(20)

    def _write_configuration(self) -> None:
        server = connections["default"].settings_dict
        self.folder.mkdir(mode=0o700)
        configuration = CONFIGURATION.format(
            host=server["HOST"] or "/var/run/postgresql",
            port=server["PORT"] or 5432,
            own_port=PORT,
            folder=self.folder,
            connections=self._server_connections,
        )
        (self.folder / "pgbouncer.ini").write_text(configuration)
        quoted = (str(server[key]).replace('"', '""') for key in ("USER", "PASSWORD"))
        (self.folder / "users.txt").write_text('"{}" "{}"\n'.format(*quoted))
        if self._account:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._account.pw_uid, self._account.pw_gid)

    def _answers(self) -> bool:
        server = connections["default"].settings_dict
        login = {"user": server["USER"], "dbname": server["NAME"]}
        try:
            psycopg.connect(host=str(self.folder), port=PORT, **login).close()
        except psycopg.OperationalError:
            return False
        return True
