"""A PostgreSQL cluster in a folder of its own, shared by the processes that join it.

It listens on a Unix socket in a folder of mode 0700 and on no TCP port. The first process that needs it starts it,
later ones join, and the last one to leave stops it. Membership is a shared file lock, so a process that is killed
leaves as well; the cluster then runs until the next member leaves.
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
IMPOSSIBLE_PID = "999999999"  # beyond Linux' and macOS' largest

SERVER_SETTINGS = """listen_addresses = ''
unix_socket_directories = '"{folder}"'
max_connections = 200
max_prepared_transactions = 10
"""


class PostgresUnavailable(Exception):
    """No database server can be had; the message says why, and what to do about it."""


class Cluster:
    """One PostgreSQL cluster in one folder, shared by the processes that joined it."""

    def __init__(self, home: Path, bindir: Path, account: pwd.struct_passwd | None) -> None:
        self.home = home
        self.bindir = bindir
        self.account = account
        self.data = home / "data"
        self.sockets = self._socket_folder()
        self.log = home / "server.log"
        self._membership: IO[bytes] | None = None

    def join(self) -> None:
        """Start the cluster unless it runs, and keep it running until this process leaves or ends."""
        if self._membership:
            return
        self._make_private(self.home)
        with self._one_at_a_time():
            self._membership = (self.home / "members.lock").open("wb")
            fcntl.flock(self._membership, fcntl.LOCK_SH)
            self._use_own_binaries_if_needed()  # whoever leaves last needs them too
            if not self.answers():
                self._create()
                self._start()
            self._create_database()
        atexit.register(self.leave)

    def leave(self) -> None:
        """Stop the cluster if no other process uses it."""
        if not self._membership:
            return
        with self._one_at_a_time():
            try:
                fcntl.flock(self._membership, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass  # somebody else is still here, and will stop it
            else:
                self.pg_ctl("stop", "-m", "fast")
            self._membership.close()
            self._membership = None

    def answers(self) -> bool:
        """Say whether the server is up. A pid file proves nothing (stale, or its number in other hands); this does."""
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def pg_ctl(self, action: str, *options: str | Path) -> None:
        """Run `pg_ctl ACTION` on this cluster and wait for it.

        Raises:
            PostgresUnavailable: it failed; the message ends with the server's last words.
        """
        self._run("pg_ctl", action, "-D", self.data, "-w", "-t", str(START_TIMEOUT_SECONDS), *options)

    def _create(self) -> None:
        if self.data.exists():
            return
        # Under another name until complete: a killed initdb must not leave half a cluster that looks whole.
        unfinished = self.home / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        self._run("initdb", "-D", unfinished, "-U", SUPERUSER, "--auth=trust", "--encoding=UTF8", "--no-locale")
        unfinished.rename(self.data)

    def _start(self) -> None:
        self._make_private(self.sockets)
        if self._is_there():
            return
        for lock_file in (self.data / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            disown(lock_file)
        folder = str(self.sockets).replace('"', '""').replace("'", "''")
        (self.data / "postgresql.auto.conf").write_text(SERVER_SETTINGS.format(folder=folder))
        try:
            self.pg_ctl("start", "-l", self.log)
        except PostgresUnavailable:
            # The processes of a server that was killed take a moment to notice; a new one waits until they are gone.
            time.sleep(3)
            self.pg_ctl("start", "-l", self.log)

    def _is_there(self) -> bool:
        """Say whether a server is up; wait for one that recovers from a crash until it is, and for one that ends."""
        pid_file = self.data / "postmaster.pid"
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while pid_file.exists() and is_postgres(int(pid_file.read_text().split()[0])):
            if self.answers():
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
        """Copy the binaries into the cluster's folder when its account cannot reach them where they are.

        A wheel's libraries lie beside its package, in `NAME.libs`, and are found by that relative path.
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
            raise PostgresUnavailable(f"{folder} belongs to somebody else; remove it or run as its owner.")
        folder.chmod(0o700)

    def _socket_folder(self) -> Path:
        folder = self.home / "socket"
        if len(bytes(folder)) <= MAX_SOCKET_FOLDER_BYTES:
            return folder
        digest = hashlib.sha256(bytes(self.home)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"eventstore-{os.geteuid()}-{digest}"

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        with (self.home / "start.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _run(self, program: str, *arguments: str | Path) -> None:
        # Output goes to a file, not a pipe: the server inherits it from pg_ctl and would hold a pipe open for ever.
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
                raise PostgresUnavailable(f"{program} failed: {said}\n{self._last_words()}".strip())

    def _last_words(self) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


def is_postgres(pid: int) -> bool:
    """Say whether the process `pid` is a PostgreSQL server: the program by that name, not any path that holds it."""
    if Path("/proc/self").exists():
        process = Path(f"/proc/{pid}/cmdline")
        program = process.read_text().partition("\0")[0] if process.exists() else ""
    else:
        program = subprocess.run(["ps", "-o", "comm=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return Path(program).name.startswith("postgres")


def disown(lock_file: Path) -> None:
    """Give a stale lock file of PostgreSQL a process number that cannot exist.

    The number in it may have passed to another program, or to a dead process nobody has asked after, and PostgreSQL
    would take either for a server. Without the file it would not look for survivors of the old server any more.
    """
    if lock_file.exists():
        _, *rest = lock_file.read_text().split("\n")
        lock_file.write_text("\n".join([IMPOSSIBLE_PID, *rest]))


def can_reach(account: pwd.struct_passwd, path: Path) -> bool:
    """Say whether `account` may enter (or execute) `path`."""
    return subprocess.run(["/bin/sh", "-c", 'test -x "$0"', path], cwd="/", **run_as(account)).returncode == 0


def run_as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments that make `subprocess` run a command as `account`."""
    if account is None:
        return {}
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
