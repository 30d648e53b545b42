"""Behind pgbouncer in transaction mode, where the next transaction of a session may meet another server process."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from rest_framework.authtoken.models import Token

from events.admin import search
from events.exceptions import VersionConflict
from events.models import Event
from events.storage import ordering
from events.store import EventStore
from projections import registry
from projections.waiting import wait_for
from projections.workers.worker import Worker
from tests.events.following import follow, write_out_of_order
from tests.projections.support import tally
from tests.shop.models import Order
from tests.support import AsgiServer, Background, aggregates, in_threads, new, raise_first, some

pytestmark = pytest.mark.usefixtures("pgbouncer")

SECONDS = 3


def server_process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


@contextmanager
def errors_answered() -> Iterator[list[str]]:
    """What the server answers with an error to this connection, as libpq's own trace has it."""
    errors: list[str] = []
    with tempfile.TemporaryFile("w+") as trace:
        connection.connection.pgconn.trace(trace.fileno())
        yield errors
        connection.connection.pgconn.untrace()
        trace.seek(0)
        errors += [line for line in trace if "ErrorResponse" in line]


def open_several_server_connections() -> None:
    barrier = threading.Barrier(4)

    def hold() -> None:
        with transaction.atomic():
            server_process()
            barrier.wait(20)

    raise_first(in_threads(*[hold] * 4))


def test_statements_of_one_session_meet_several_server_processes() -> None:
    """The tests below would prove nothing otherwise."""
    open_several_server_connections()
    assert len({server_process() for _ in range(8)}) > 1


def test_appends_of_every_kind_work(store: EventStore) -> None:
    open_several_server_connections()
    seen: list[str] = []
    with store.subscribe("Happened", lambda event, **kwargs: seen.append(f"in {event.aggregate_id}")):
        with store.subscribe("Happened", lambda event, **kwargs: seen.append(event.aggregate_id), on_commit=True):
            store.dispatch(new("a-1"), expected_version=0)
            store.dispatch(new("a-1"), new("b-1"), new("a-1"), expected_version={"a-1": 1, "b-1": 0})
            with pytest.raises(VersionConflict):
                store.dispatch(new("a-1"), expected_version=7)
            with transaction.atomic():
                with pytest.raises(VersionConflict):
                    store.dispatch(new("b-1"), expected_version=7)
                store.dispatch(new("b-1"))
                with transaction.atomic():
                    store.dispatch(new("c-1"))
                    transaction.set_rollback(True)
            seen.append("committed")
    assert aggregates() == {"a-1": 3, "b-1": 2}
    two_calls = ["in a-1", "a-1", "in a-1", "in b-1", "in a-1", "a-1", "b-1", "a-1"]
    assert seen == [*two_calls, "in b-1", "in c-1", "b-1", "committed"]


def test_settings_of_the_store_end_with_their_transaction(store: EventStore) -> None:
    """Otherwise the next client of the server process would get them: a guard switched off, a search cut short."""
    open_several_server_connections()
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        (timeout,) = cursor.fetchone()
    for number in range(8):
        store.dispatch(new(f"a-{number}"))
        with transaction.atomic():
            store.dispatch(*some(2, f"b-{number}"))
        search.search(Event.objects.all(), text="nothing", limit=1)
    for _ in range(8):
        with connection.cursor() as cursor:
            names = ("events.appending", "events.floor_held", "events.maintenance", "statement_timeout")
            cursor.execute("SELECT " + ", ".join(f"current_setting('{name}', true)" for name in names))
            *own, found = cursor.fetchone()
        assert not any(own)
        assert found == timeout


def test_reader_misses_nothing_while_writers_commit_out_of_order() -> None:
    stop_writing, stop_reading = threading.Event(), threading.Event()
    store = EventStore()

    def settled(after: int) -> list[int]:
        return [event.position for event in store.read_all(after=after)]

    def asking_again_and_again(after: int) -> list[int]:
        up_to = ordering.settled_position_after(after, "default")
        events = Event.objects.after(after).up_to(up_to).order_by("position")
        return [event.position for event in events] if up_to > after else []

    with ExitStack() as stack:
        stack.callback(stop_writing.set)
        stack.callback(stop_reading.set)
        readers = [
            stack.enter_context(Background(lambda read=read: follow(read, stop_reading)))
            for read in (settled, asking_again_and_again)
        ]
        threading.Timer(SECONDS, stop_writing.set).start()
        raise_first(in_threads(*[lambda seed=seed: write_out_of_order(stop_writing, seed) for seed in range(8)]))
        stop_reading.set()
    positions = list(Event.objects.order_by("position").values_list("position", flat=True))
    assert len(positions) > 100
    for each in readers:
        assert each.result == positions


def test_asking_for_the_settled_position_meets_an_unknown_statement_once_at_most(
    store: EventStore,
) -> None:
    """A worker asks twenty times a second; each error would be a line in the server's log."""
    open_several_server_connections()
    (event,) = store.dispatch(new())
    with errors_answered() as errors:
        for _ in range(20):
            assert ordering.settled_position_after(0, "default") == event.position
            assert ordering.settled_position_after(event.position, "default") == event.position
    assert len(errors) <= 1, errors[:3]


@pytest.mark.usefixtures("no_subscribers")
def test_appends_meet_an_unknown_statement_once_at_most(store: EventStore) -> None:
    open_several_server_connections()
    connection.ensure_connection()
    with errors_answered() as errors:
        for number in range(20):
            store.dispatch(new(f"a-{number}"))
    assert len(errors) <= 1, errors[:3]
    assert aggregates() == {f"a-{number}": 1 for number in range(20)}


def test_projections_count_every_event_once(store: EventStore) -> None:
    open_several_server_connections()
    workers = [Worker(registry.named(["tally", "sharded_tally"])) for _ in range(2)]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(Background(worker.run))
            stack.callback(worker.stop)

        def write(number: int) -> int:
            for _ in range(30):
                position = store.dispatch(new(f"a-{number}", "Counted"), new(f"b-{number}", "Counted"))[-1].position
            return position

        positions = in_threads(*[lambda number=number: write(number) for number in range(4)])
        raise_first(positions)
        for name in ("tally", "sharded_tally"):
            wait_for(name, max(positions), timeout_seconds=20)
    assert tally()["all"] == 240
    store.dispatch(new("order-1", "OrderPlaced", data={"total": 5}))
    assert Order.objects.get().total == 5


def test_stream_tells_every_event_once(store: EventStore, asgi_server: AsgiServer, admin_user: User) -> None:
    open_several_server_connections()
    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}", "Last-Event-ID": "0"}
    store.dispatch(*some(3, "before-1"))
    with httpx.Client(base_url=asgi_server.url, headers=headers, timeout=20) as client:
        with client.stream("GET", "/api/events/stream/") as stream:
            lines = stream.iter_lines()
            ids = [next(line for line in lines if line.startswith("id:")) for _ in range(3)]
            raise_first(in_threads(*[lambda n=n: store.dispatch(*some(5, f"after-{n}")) for n in range(4)]))
            while len(ids) < 23:
                line = next(lines)
                if line.startswith("id:") and line not in ids:
                    ids.append(line)
    assert [int(line.partition(":")[2]) for line in ids] == list(
        Event.objects.order_by("position").values_list("position", flat=True)
    )
