"""A private PostgreSQL cluster, shared by the processes that join it.

The cluster listens on a Unix socket in a folder of mode 0700, and on no TCP port. The first process starts it, later
processes join it, and the last process to leave stops it. Membership is a shared file lock, so a killed process leaves
too. If all members are killed, the cluster runs until the next member leaves.
"""

import atexit
import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psycopg

DATABASE = "eventstore"
SUPERUSER = "postgres"
START_TIMEOUT_SECONDS = 60
# Linux allows 107 bytes for a socket's path, macOS 103; PostgreSQL appends "/.s.PGSQL.5432.lock".
MAX_SOCKET_FOLDER_BYTES = 80
IMPOSSIBLE_PID = "999999999"  # larger than the largest process id of Linux and macOS

SERVER_SETTINGS = """listen_addresses = ''
unix_socket_directories = '"{folder}"'
max_connections = 200
max_prepared_transactions = 10
"""


class PostgresUnavailable(Exception):
    """No database server is available; the message says why, and what to do."""


class Cluster:
    """One PostgreSQL cluster in one folder, shared by the processes that have joined it."""

    def __init__(self, home: Path, bindir: Path, account: pwd.struct_passwd | None) -> None:
        self.home = home
        self.bindir = bindir
        self.account = account
        self.data = home / "data"
        self.sockets = self._socket_folder()
        self.log = home / "server.log"
        self._membership: IO[bytes] | None = None

    def join(self) -> None:
        """Start the cluster if it does not run, and keep it running until this process leaves or ends."""
        if self._membership:
            return
        self._make_private(self.home)
        with self._start_lock():
            self._membership = (self.home / "members.lock").open("wb")
            fcntl.flock(self._membership, fcntl.LOCK_SH)
            self._use_own_binaries_if_needed()  # the last process to leave needs them too
            if not self.is_reachable():
                self._create()
                self._start()
            self._create_database()
        atexit.register(self.leave)

    def leave(self) -> None:
        """Stop the cluster if no other process uses it."""
        if not self._membership:
            return
        with self._start_lock():
            try:
                fcntl.flock(self._membership, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # another member is left, and will stop it
            else:
                self.pg_ctl("stop", "-m", "fast")
            self._membership.close()
            self._membership = None

    def is_reachable(self) -> bool:
        """Return whether a connection can be opened. A pid file may be stale, so it is no proof."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def pg_ctl(self, action: str, *options: str | Path) -> None:
        """Run `pg_ctl ACTION` on this cluster and wait for it.

        Raises:
            PostgresUnavailable: it failed; the message ends with the last lines of the server's log.
        """
        self._run("pg_ctl", action, "-D", self.data, "-w", "-t", str(START_TIMEOUT_SECONDS), *options)

    def _create(self) -> None:
        if self.data.exists():
            return
        # Renamed when complete: a killed initdb must not leave an incomplete cluster under the final name.
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run("initdb", "-D", unfinished, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale")
        unfinished.rename(self.data)

    def _start(self) -> None:
        self._make_private(self.sockets)
        if self._wait_for_running_server():
            return
        for lock_file in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            invalidate(lock_file)
        folder = str(self.sockets).replace('"', '""').replace("'", "''")
        (self.data / "postgresql.auto.conf").write_text(SERVER_SETTINGS.format(folder=folder))
        try:
            self.pg_ctl("start", "-l", self.log)
        except PostgresUnavailable:
            # The child processes of a killed server end a moment later; until then a new server does not start.
            time.sleep(3)
            self.pg_ctl("start", "-l", self.log)

    def _wait_for_running_server(self) -> bool:
        """Return whether a server runs; wait for a server that is recovering or shutting down."""
        pid_file = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while pid_file.exists() and is_postgres(int(pid_file.read_text().split()[0])):
            if self.is_reachable():
                return True
            if time.monotonic() > deadline:
                raise PostgresUnavailable(f"The PostgreSQL in {self.home} does not answer; see {self.log}")
            time.sleep(0.1)
        return False

    def _create_database(self) -> None:
        with self._connect(autocommit=True) as connection:
            if not connection.execute("SELECT FROM pg_database WHERE datname = %s", [DATABASE]).rowcount:
                connection.execute(f"CREATE DATABASE {DATABASE}")

    def _connect(self, **options: Any) -> psycopg.Connection:
        return psycopg.connect(host=str(self.sockets), user=SUPERUSER, dbname="postgres", connect_timeout=10, **options)

    def _use_own_binaries_if_needed(self) -> None:
        """Copy the binaries into the cluster's folder if the server's account cannot reach them.

        The libraries of a wheel are in `NAME.libs` beside its package, and are found by this relative path.
        """
        if self.account is None or can_reach(self.account, self.bindir / "postgres"):
            return
        install, package = self.bindir.parent, self.bindir.parent.parent
        copy = self.home / "install"
        if not copy.exists():
            unfinished = self.home / "install.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            shutil.copytree(install, unfinished / package.name / install.name, symlinks=True)
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.exists():
                shutil.copytree(libraries, unfinished / libraries.name, symlinks=True)
            for path in (unfinished, *unfinished.rglob("*")):
                os.chown(path, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)
            unfinished.rename(copy)
        self.bindir = copy / package.name / install.name / "bin"

    def _make_private(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        owner = self.account.pw_uid if self.account else os.geteuid()
        if self.account and folder.stat().st_uid == 0:
            os.chown(folder, self.account.pw_uid, self.account.pw_gid)
        if folder.stat().st_uid != owner or folder.is_symlink():
            raise PostgresUnavailable(f"{folder} belongs to another user. Remove it, or run as its owner.")
        folder.chmod(0o700)

    def _socket_folder(self) -> Path:
        folder = self.home / "socket"
        if len(bytes(folder)) <= MAX_SOCKET_FOLDER_BYTES:
            return folder
        digest = hashlib.sha256(bytes(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"eventstore-{os.geteuid()}-{digest}"

    @contextmanager
    def _start_lock(self) -> Iterator[None]:
        with (self.home / "start.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run(self, program: str, *arguments: str | Path) -> None:
        # A file, because the server inherits the output from pg_ctl and would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            result = subprocess.run(
                [self.bindir / program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                env={**os.environ, "LC_ALL": "C"},
                **run_as(self.account),
            )
            if result.returncode:
                output.seek(0)
                said = output.read().decode(errors="replace").strip()
                raise PostgresUnavailable(f"{program} failed: {said}\n{self._log_tail()}".strip())

    def _log_tail(self) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


def is_postgres(pid: int) -> bool:
    """Return whether the process `pid` runs a program called `postgres`."""
    if Path("/proc/self").exists():
        process = Path(f"/proc/{pid}/cmdline")
        program = process.read_text().partition("\0")[0] if process.exists() else ""
    else:
        program = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return Path(program).name.startswith("postgres")


def invalidate(lock_file: Path) -> None:
    """Write an impossible process id into a stale lock file of PostgreSQL.

    The process id may now belong to another program, or to a zombie process, and PostgreSQL would take either for a
    running server. The file is not deleted, because PostgreSQL uses it to look for child processes of the old server.
    """
    if lock_file.exists():
        _, *rest = lock_file.read_text().split("\n")
        lock_file.write_text("\n".join([IMPOSSIBLE_PID, *rest]))


def can_reach(account: pwd.struct_passwd, path: Path) -> bool:
    """Return whether `account` may enter or execute `path`."""
    return subprocess.run(["/bin/sh", "-c", 'test -x "$0"', path], cwd="/", **run_as(account)).returncode == 0


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` run a command as `account`."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
