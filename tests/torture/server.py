"""A PostgreSQL of the torture's own, and what can happen to it."""

import atexit
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import psycopg

from eventstore_project.cluster import DATABASE, SUPERUSER, Cluster, PostgresUnavailable, is_postgres

DISK_BYTES = 1024 * 2**20
FULL_TIMEOUT_SECONDS = 10

# A crash of the server takes what has not been flushed, whatever fsync says; with it on, so would one of the machine.
# (That is not tried here: the kernel's cache survives a killed server.) Checkpoints and vacuums come often, and little
# write-ahead log is kept, so that a full disk soon shows.
SETTINGS = """
fsync = on
full_page_writes = on
synchronous_commit = on
checkpoint_timeout = 30s
autovacuum_naptime = 5s
min_wal_size = 32MB
max_wal_size = 64MB
"""


class Server(Cluster):
    """A private cluster on a small disk, if there is one; its log lies elsewhere, so that it can tell what happens."""

    def __init__(self, folder: Path, bindir: Path, account: pwd.struct_passwd | None) -> None:
        super().__init__(folder / "disk" / "cluster", bindir, account)
        self.disk = folder / "disk"
        self._log_folder = folder / "log"
        self.log = self._log_folder / "server.log"
        self.starts = 0

    @property
    def url(self) -> str:
        return f"postgres://{SUPERUSER}@{quote(str(self.sockets), safe='')}/{DATABASE}"

    def connect(self) -> "psycopg.Connection[Any]":
        """Open a connection of our own, without Django."""
        return psycopg.connect(
            host=str(self.sockets), user=SUPERUSER, dbname=DATABASE, autocommit=True, connect_timeout=10
        )

    def be_up(self) -> None:
        """Start it if it is down; wait for it if it recovers."""
        while not self.is_reachable():
            self._start()

    def kill(self) -> None:
        """Kill the postmaster; its children notice, and end."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        while is_postgres(pid):
            time.sleep(0.005)

    def restart_immediately(self) -> None:
        self.pg_ctl("restart", "-m", "immediate", "-l", self.log)

    def stop(self) -> None:
        """End it for good, whatever state it is in."""
        atexit.unregister(self.leave)
        with suppress(PostgresUnavailable):
            self.pg_ctl("stop", "-m", "immediate")
        if self._membership:
            self._membership.close()

    def cut_connections(self) -> int:
        """Terminate all sessions but our own; return how many there were."""
        with self.connect() as connection:
            cursor = connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            return cursor.rowcount

    def fill_disk(self, seconds: float) -> None:
        """Leave no byte of the disk free until the server has met that, and for `seconds` more; then free it again."""
        ballast = self.disk / "ballast"
        met = self._times_full()
        deadline = time.monotonic() + FULL_TIMEOUT_SECONDS
        try:
            with ballast.open("wb", buffering=0) as file:
                while self._times_full() == met:
                    if time.monotonic() > deadline:
                        raise TimeoutError("the server does not notice that its disk is full")
                    _fill(self.disk, file)
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    _fill(self.disk, file)
        finally:
            ballast.unlink()

    def _create(self) -> None:
        self._make_private(self._log_folder)
        is_new = not self.data.exists()
        super()._create()
        if is_new:
            with (self.data / "postgresql.conf").open("a") as file:
                file.write(SETTINGS)

    def _start(self) -> None:
        self.starts += 1
        super()._start()

    def _pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def _times_full(self) -> int:
        return self.log.read_text(errors="replace").count("No space left on device")


@contextmanager
def small_disk(path: Path) -> Iterator[bool]:
    """Mount a file system in memory at `path`; yield whether that was possible."""
    path.mkdir(mode=0o711)
    options = f"size={DISK_BYTES},mode=711"
    mount = shutil.which("mount")
    is_mounted = bool(
        mount
        and not subprocess.run(
            [mount, "-t", "tmpfs", "-o", options, "eventstore-torture", path], capture_output=True
        ).returncode
    )
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", path], check=True)


def _fill(disk: Path, ballast: IO[bytes]) -> None:
    """Let `ballast` grow by what is free, which may be more than a moment ago: the server removes what it can."""
    found = os.statvfs(disk)
    if free := found.f_bavail * found.f_frsize:
        with suppress(OSError):  # the server was quicker
            os.posix_fallocate(ballast.fileno(), os.fstat(ballast.fileno()).st_size, free)
    time.sleep(0.01)
