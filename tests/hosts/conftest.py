"""Fixtures for the store in other people's surroundings."""

import fcntl
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.support import PgBouncer, connected_by
from tests.ownproject import copy_checkout, run


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory, testrun_uid: str) -> Path:
    """The wheel as it would be published, built once a run: the test processes wait for each other."""
    folder = tmp_path_factory.getbasetemp().parent / f"wheel-{testrun_uid}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not list(folder.glob("*.whl")):
            copy_checkout(folder / "checkout")
            run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "-w", folder, folder / "checkout")
    return next(folder.glob("*.whl"))


@pytest.fixture
def pgbouncer(transactional_db: None, cluster_folder: Path) -> Iterator[PgBouncer]:
    """All connections of this process go through a pgbouncer in transaction mode."""
    if PgBouncer.program() is None:
        pytest.skip("there is no pgbouncer here: apt-get install pgbouncer")
    with PgBouncer(cluster_folder) as pooler, connected_by(pooler.settings):
        yield pooler
