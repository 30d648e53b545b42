"""Fixtures for the store in other people's surroundings."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.support import PgBouncer, connected_by


@pytest.fixture
def pgbouncer(transactional_db: None, cluster_folder: Path) -> Iterator[PgBouncer]:
    """All connections of this process go through a pgbouncer in transaction mode."""
    if PgBouncer.program() is None:
        pytest.skip("there is no pgbouncer here: apt-get install pgbouncer")
    with PgBouncer(cluster_folder) as pooler, connected_by(pooler.settings):
        yield pooler
