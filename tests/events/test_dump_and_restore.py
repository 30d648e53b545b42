"""A store that moves into a new cluster goes on as if nothing had happened."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from events.store import EventStore
from eventstore_project.cluster import Cluster, PostgresUnavailable
from eventstore_project.postgres import private_cluster, server_account
from tests.support import new, some

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def new_cluster(cluster_folder: Path) -> Iterator[Cluster]:
    """Another PostgreSQL, made for this test."""
    try:
        bindir = private_cluster().bindir
    except PostgresUnavailable:
        pytest.skip("there are no PostgreSQL binaries here to make a second cluster with")
    cluster = Cluster(cluster_folder / "cluster", bindir, server_account())
    cluster.join()
    yield cluster
    cluster.leave()


def test_store_goes_on_after_dump_and_restore_into_a_new_cluster(store: EventStore, new_cluster: Cluster) -> None:
    for number in range(20):
        store.dispatch(*some(10, f"a-{number}"))
    retried = store.get_events_for_aggregate("a-3")
    checkpoint = list(store.read_all())[149].position
    waiting = [event.position for event in store.read_all(after=checkpoint)]

    dump = subprocess.run(
        [new_cluster.bindir / "pg_dump", "--no-owner", *_target()], capture_output=True, check=True, env=_environment()
    ).stdout
    name = "eventstore"  # the cluster made it, empty
    restore = [new_cluster.bindir / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", name]
    subprocess.run([*restore, "-h", str(new_cluster.sockets)], input=dump, check=True, capture_output=True)

    with psycopg.connect(host=str(new_cluster.sockets), user="postgres", dbname=name, autocommit=True) as restored:

        def rows(query: str, *arguments: Any) -> list[Any]:
            return restored.execute(query, arguments).fetchall()

        (settled,) = rows("SELECT events_settled_position()")[0]
        assert settled == store.settled_position()
        after = rows("SELECT position FROM events_event WHERE position > %s ORDER BY position", checkpoint)
        assert [position for (position,) in after] == waiting
        append = (
            "SELECT outcome, version, position FROM events_append(ARRAY['a-3'], ARRAY['Happened'],"
            " ARRAY['{}']::jsonb[], ARRAY['{}']::jsonb[], ARRAY[NULL]::timestamptz[], ARRAY[%s]::uuid[])"
        )
        assert rows(append, retried[0].event_id) == [("stored", 1, retried[0].position)]
        ((outcome, version, position),) = rows(append, new().event_id)
        assert (outcome, version) == ("appended", 11)
        assert position > settled
        with pytest.raises(psycopg.DatabaseError, match="never changed or removed"):
            restored.execute("DELETE FROM events_event")


def _target() -> list[str]:
    settings = connection.settings_dict
    options = {"-h": settings["HOST"], "-p": settings["PORT"], "-U": settings["USER"], "-d": settings["NAME"]}
    return [part for option, value in options.items() if value for part in (option, str(value))]


def _environment() -> dict[str, str]:
    password = connection.settings_dict["PASSWORD"]
    return {**os.environ, "PGPASSWORD": password} if password else {**os.environ}
