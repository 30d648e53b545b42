"""Reading the whole store from a standby: nothing is missed there either, however far behind it is."""

import io
import re
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connections, transaction

from events.exceptions import StandbyBehind, UnsafeRead
from events.models import Event
from events.storage.standby import wait_until_replayed
from events.store import EventStore
from eventstore_project.cluster import DATABASE, SUPERUSER
from tests import FULL, ROOT
from tests.clusters import cluster_in, open_folder, restore_into, standby_of
from tests.events.following import follow, write_out_of_order
from tests.hosts.support import connected_by
from tests.support import Background, in_threads, new, raise_first, some

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "primary", "standby"]),
    pytest.mark.usefixtures("no_subscribers"),
]


SETTINGS_PAGE = ROOT / "docs/settings.md"


SECONDS = 4 if FULL else 3


WRITERS = 8


@pytest.fixture(scope="module")
def databases(django_db_setup: None) -> Iterator[dict[str, Any]]:
    """A primary of its own and a standby, as the documentation sets them up."""
    (snippet,) = re.findall(r"^```python\n(.*?)^```$", SETTINGS_PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    with open_folder() as folder, cluster_in(folder) as primary:
        restore_into(primary)
        with standby_of(primary) as standby:
            login = {"NAME": DATABASE, "USER": SUPERUSER, "PASSWORD": "", "PORT": "", "HOST": str(primary.sockets)}
            databases: dict[str, Any] = {"default": {**connections.settings["default"], **login}}
            snippet = snippet.replace("standby.internal", str(standby.sockets))
            exec(compile(snippet, SETTINGS_PAGE, "exec"), {"DATABASES": databases})  # noqa: S102
            yield databases


@pytest.fixture
def store(databases: dict[str, Any]) -> Iterator[EventStore]:
    """A store that reads from a standby."""
    with connected_by(databases["default"], "primary"), connected_by(databases["standby"], "standby"):
        yield EventStore("primary", read_from="standby")


def ask(alias: str, query: str) -> Any:
    with connections[alias].cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchone()[0]


def falter(stop: threading.Event) -> None:
    """Have the standby fall behind for a moment, again and again."""
    while not stop.is_set():
        ask("standby", "SELECT pg_wal_replay_pause()::text")
        stop.wait(0.1)
        ask("standby", "SELECT pg_wal_replay_resume()::text")
        stop.wait(0.1)


def test_standby_reads_miss_nothing_while_writers_commit_out_of_order_and_naive_ones_do(store: EventStore) -> None:
    stop_writing, stop_reading = threading.Event(), threading.Event()

    def waited_for(after: int) -> list[int]:
        events = list(store.read_all(after=after))
        assert {event._state.db for event in events} <= {"standby"}
        return [event.position for event in events]

    def naive(after: int) -> list[int]:
        """Up to the settled position, too, but without asking how far the standby is."""
        events = Event.objects.using("standby").after(after).up_to(store.settled_position()).order_by("position")
        return list(events.values_list("position", flat=True))

    with ExitStack() as stack:
        stack.callback(stop_writing.set)
        stack.callback(stop_reading.set)
        readers = [
            stack.enter_context(Background(lambda read=read: follow(read, stop_reading)))
            for read in (waited_for, naive)
        ]
        stack.enter_context(Background(lambda: falter(stop_writing)))
        threading.Timer(SECONDS, stop_writing.set).start()
        writers = [lambda seed=seed: write_out_of_order(stop_writing, seed, "primary") for seed in range(WRITERS)]
        raise_first(in_threads(*writers))
        stop_reading.set()
    by_waiting, by_naive = (reader.result for reader in readers)
    stored = list(Event.objects.using("primary").order_by("position").values_list("position", flat=True))
    missed = len({position for position in stored if position < by_naive[-1]} - set(by_naive))
    print(f"{len(stored):,} events by {WRITERS} writers; the naive reader of the standby missed {missed:,}")
    assert by_waiting == stored
    assert missed > 0, "the standby was never behind: this test proves nothing"


def test_standby_that_is_behind_is_waited_for_up_to_a_bound(store: EventStore, settings: Any) -> None:
    settings.EVENTS_STANDBY_WAIT_SECONDS = 0.2
    start = store.settled_position()
    before = store.dispatch(*some(2))
    assert list(store.read_all(after=start)) == before
    ask("standby", "SELECT pg_wal_replay_pause()::text")
    (event,) = store.dispatch(new("b-1"))
    with pytest.raises(StandbyBehind, match="'standby' did not catch up with the primary") as caught:
        list(store.read_all(after=before[-1].position))
    assert caught.value.standby == "standby"
    assert list(store.read_all(after=event.position)) == [], "there is nothing to wait for"
    ask("standby", "SELECT pg_wal_replay_resume()::text")
    assert list(store.read_all(after=before[-1].position)) == [event]
    assert b"b-1" in b"".join(store.export(after=start))


def test_standby_is_not_waited_for_while_the_primary_is_idle(store: EventStore) -> None:
    """Where nothing commits any more, the end of the log may lie where the standby does not come to by itself."""
    start = store.settled_position()
    with transaction.atomic("primary"):
        with connections["primary"].cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        events = store.dispatch(*some(3))
    for make_a_new_page in (False, True):
        if make_a_new_page:
            ask("primary", "SELECT pg_switch_wal()::text")
        started = time.monotonic()
        assert list(store.read_all(after=start)) == events
        assert time.monotonic() - started < 2


def test_unsafe_reads_are_rejected(store: EventStore) -> None:
    start = store.settled_position()
    (event,) = store.dispatch(new())
    with pytest.raises(UnsafeRead, match="'primary' is not a standby"):
        list(EventStore("primary", read_from="primary").read_all())
    with transaction.atomic("standby"):
        with connections["standby"].cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        with pytest.raises(UnsafeRead, match="REPEATABLE READ transaction of a standby"):
            list(store.read_all())
    with transaction.atomic("primary"):
        assert list(store.read_all(after=start)) == [event]
        store.dispatch(new("own"))
        with pytest.raises(UnsafeRead, match="transaction that has appended cannot read a standby"):
            list(store.read_all())
    assert [each.aggregate_id for each in store.read_all(after=start)] == ["a-1", "own"]


def test_doctor_examines_a_standby(store: EventStore) -> None:
    store.dispatch(new())
    wait_until_replayed("primary", "standby")
    output = io.StringIO()
    with pytest.raises(CommandError, match="finding"):
        call_command("events_doctor", database="standby", stdout=output)
    assert "this server is a standby: nothing can be appended" in output.getvalue()
    assert "could not be checked" not in output.getvalue()
