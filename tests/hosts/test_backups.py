"""Backups as the documentation makes them: what is restored is a whole store, and goes on."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, connections

from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.integrity.verification import Verification
from events.models import Event
from events.monitoring import doctor
from events.store import EventStore
from eventstore_project.cluster import DATABASE, SUPERUSER, Cluster
from eventstore_project.postgres import private_cluster
from tests import ROOT
from tests.clusters import restore_into
from tests.hosts.support import connected_by
from tests.ownproject import snippets
from tests.support import Background, new, some

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "primary"])

PAGE = ROOT / "docs/operations.md"


def commands(program: str) -> list[list[str]]:
    """The commands of the page's snippet that begins with `program`."""
    (snippet,) = [each for each in snippets(PAGE, "sh") if each.startswith(program)]
    return [shlex.split(line) for line in snippet.splitlines()]


def check_restored(kept: StoreDigest, version: int) -> None:
    """Check that the store behind the alias `primary` is whole and goes on."""
    verification = Verification("primary", against=kept)
    for _ in verification.run():
        pass
    assert verification.events >= 200
    looks = (doctor.migrations, doctor.server, doctor.guards, doctor.functions, doctor.positions, doctor.aggregates)
    assert [finding for look in looks for finding in look("primary")] == []
    store = EventStore("primary")
    before = store.settled_position()
    (event,) = store.dispatch(new("a-0"), expected_version=version)
    assert event.position > before
    known = store.get_events_for_aggregate("a-1")[0]
    assert store.dispatch(new("a-1", data=known.data, event_id=known.event_id)).is_retry


def filled() -> StoreDigest:
    store = EventStore()
    for number in range(20):
        store.dispatch(*some(10, f"a-{number}"))
    while seals.seal("default"):
        pass
    return seals.newest_digest("default")


@pytest.mark.usefixtures("no_subscribers")
def test_dump_is_restored_as_described(tmp_path: Path) -> None:
    kept = filled()
    settings = connection.settings_dict
    restored = f"{settings['NAME']}_restored"
    names = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
    login = {to: str(settings[name]) for name, to in names.items() if settings[name]}
    environment = {**os.environ, **login, "PATH": f"{private_cluster().bindir}:{os.environ['PATH']}"}
    try:
        for command in commands("pg_dump"):
            words = [re.sub(r"\bshop\b", settings["NAME"], word.replace("shop_restored", restored)) for word in command]
            subprocess.run(words, env=environment, cwd=tmp_path, check=True)
        with connected_by({"NAME": restored}, "primary"):
            check_restored(kept, version=10)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{restored}" WITH (FORCE)')


@pytest.mark.usefixtures("no_subscribers")
def test_base_backup_of_a_store_at_work_is_restored_as_described(new_cluster: Cluster) -> None:
    kept = filled()
    restore_into(new_cluster)
    backup = Cluster(new_cluster.home.parent / "backup", new_cluster.bindir, new_cluster.account)
    backup._make_private(backup.home)
    login: dict[str, Any] = {"NAME": DATABASE, "USER": SUPERUSER, "PASSWORD": "", "PORT": ""}
    ended = False

    def append() -> None:
        while not ended:
            EventStore("primary").dispatch(new("busy-1"))
        connections["primary"].close()

    with connected_by({**login, "HOST": str(new_cluster.sockets)}, "primary"), Background(append):
        try:
            ((program, *options),) = commands("pg_basebackup")
            options = [option.replace("=base", f"={backup.data}") for option in options]
            backup._run(program, "-h", new_cluster.sockets, "-U", SUPERUSER, *options)
        finally:
            ended = True
    backup.join()
    try:
        with connected_by({**login, "HOST": str(backup.sockets)}, "primary"):
            check_restored(kept, version=10)
            busy = Event.objects.using("primary").of_aggregate("busy-1").order_by("version")
            versions = list(busy.values_list("version", flat=True))
            assert versions == [*range(1, len(versions) + 1)] != []
    finally:
        backup.leave()
