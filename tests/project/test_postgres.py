"""The private PostgreSQL of the demo and the tests: started once, shared, stopped by the last, and never guessed."""

import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eventstore_project import postgres
from eventstore_project.cluster import MAX_SOCKET_FOLDER_BYTES, Cluster, PostgresUnavailable
from eventstore_project.postgres import find_bindir, server_account
from tests.clusters import fill
from tests.support import Wait


@pytest.fixture
def home(cluster_folder: Path) -> Path:
    return cluster_folder / "a folder with 'quotes' and a space"


@pytest.fixture
def made_by_itself() -> None:
    """For a test whose cluster shall make itself, by initdb; those of others are copied."""


@pytest.fixture
def cluster(request: pytest.FixtureRequest, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    home.mkdir(mode=0o755)
    try:
        cluster = Cluster(home / "cluster", find_bindir(), server_account())
    except PostgresUnavailable:
        pytest.skip("there are no PostgreSQL binaries here")
    if "made_by_itself" not in request.fixturenames:
        fill(cluster)
    yield cluster
    cluster.leave()
    if cluster.is_reachable():
        cluster.pg_ctl("stop", "-m", "immediate")


MEMBER = """
import sys
from pathlib import Path
from eventstore_project.cluster import Cluster
from eventstore_project.postgres import find_bindir, server_account
cluster = Cluster(Path(sys.argv[1]), find_bindir(), server_account())
cluster.join()
print("joined", flush=True)
sys.stdin.read()
"""


def member(cluster: Cluster) -> "subprocess.Popen[str]":
    """Another process that uses the cluster, until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", MEMBER, str(cluster.home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    assert process.stdout.readline() == "joined\n"
    return process


def end(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=60)


@pytest.mark.usefixtures("made_by_itself")
def test_first_starts_others_share_and_the_last_stops_it(cluster: Cluster) -> None:
    first, second = member(cluster), member(cluster)
    cluster.join()
    end(first)
    assert cluster.is_reachable()
    cluster.leave()
    assert cluster.is_reachable()
    end(second)
    assert not cluster.is_reachable()
    cluster.join()
    assert cluster.is_reachable()


def test_killed_member_does_not_keep_it_running(cluster: Cluster) -> None:
    process = member(cluster)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert cluster.is_reachable()
    cluster.join()
    cluster.leave()
    assert not cluster.is_reachable()


def test_crashed_server_is_started_again(cluster: Cluster) -> None:
    cluster.join()
    server = int((cluster.data / "postmaster.pid").read_text().split()[0])
    os.kill(server, signal.SIGKILL)
    Wait.until(lambda: not cluster.is_reachable())
    end(member(cluster))
    process = member(cluster)
    assert cluster.is_reachable()
    end(process)


def test_stale_pid_file_is_seen_through(cluster: Cluster) -> None:
    cluster.join()
    pid_file = cluster.data / "postmaster.pid"
    content = pid_file.read_text()
    cluster.leave()
    pid_file.write_text(content.replace(content.split()[0], str(os.getpid()), 1))
    cluster.join()
    assert cluster.is_reachable()


def test_data_and_socket_are_closed_to_others_and_no_port_is_open(cluster: Cluster) -> None:
    cluster.join()
    for folder in (cluster.home, cluster.data, cluster.sockets):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with cluster._connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        assert connection.execute("SELECT count(*) FROM pg_database WHERE datname = 'eventstore'").fetchone() == (1,)


def test_long_path_gets_a_socket_it_can_use(home: Path) -> None:
    cluster = Cluster(home / ("long" * 30), Path("/nowhere"), None)
    assert len(bytes(cluster.sockets)) <= MAX_SOCKET_FOLDER_BYTES
    assert cluster.sockets != Cluster(home / ("longer" * 20), Path("/nowhere"), None).sockets


def test_folder_of_another_account_is_rejected(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder that belongs to somebody else")
    cluster = Cluster(tmp_path / "cluster", Path("/nowhere"), server_account())
    cluster.home.mkdir()
    os.chown(cluster.home, 12345, 12345)
    with pytest.raises(PostgresUnavailable, match="belongs to another user"):
        cluster.join()


def test_binaries_that_the_servers_account_cannot_reach_are_copied(cluster_folder: Path) -> None:
    account = server_account()
    if account is None:
        pytest.skip("only root runs the server as somebody else")
    bindir = find_bindir()
    closed = cluster_folder / "closed"
    closed.mkdir(mode=0o700)
    for folder in (bindir.parent.parent, bindir.parent.parent.with_name(f"{bindir.parent.parent.name}.libs")):
        if folder.exists() and folder.parent.name == "site-packages":
            shutil.copytree(folder, closed / folder.name, symlinks=True)
    if not any(closed.iterdir()):
        pytest.skip("the server's binaries are the system's, which everybody can reach")
    cluster = Cluster(cluster_folder / "cluster", closed / bindir.relative_to(bindir.parents[2]), account)
    cluster.join()
    assert cluster.is_reachable()
    assert cluster.bindir.is_relative_to(cluster.home)
    cluster.leave()


def manage(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=Path(postgres.__file__).parent.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"DATABASE_URL": "postgres://nobody@127.0.0.1:1/none"}, "DATABASE_URL is set, but its database cannot"),
        ({"DATABASE_URL": "mysql://localhost/x"}, "DATABASE_URL must name a PostgreSQL database"),
        ({"DATABASE_URL": "", "PG_BINDIR": "/nowhere"}, "there is no initdb in it"),
    ],
)
def test_unusable_configuration_is_said_and_nothing_else_tried(environment: dict[str, str], said: str) -> None:
    result = manage(**environment)
    assert result.returncode == 1
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_server_error_names_both_remedies(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PG_BINDIR", raising=False)
    monkeypatch.setattr(postgres, "find_spec", lambda name: None)
    monkeypatch.setattr(postgres.shutil, "which", lambda name: None)
    real_glob: Any = Path.glob
    monkeypatch.setattr(Path, "glob", lambda self, pattern: real_glob(tmp_path, pattern))
    with pytest.raises(PostgresUnavailable, match=r"DATABASE_URL[\s\S]*PG_BINDIR"):
        find_bindir()


def test_database_url_is_read_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://me:p%40ss@db.example:5433/shop")
    settings = postgres.database_settings()
    found = {name: settings[name] for name in ("USER", "PASSWORD", "HOST", "PORT", "NAME")}
    assert found == {"USER": "me", "PASSWORD": "p@ss", "HOST": "db.example", "PORT": 5433, "NAME": "shop"}
