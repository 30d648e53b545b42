"""Workers as they are in the field: real processes, killed, stopped, cut off from the database."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from events.store import EventStore
from eventstore_project.cluster import DATABASE, SUPERUSER, Cluster
from eventstore_project.postgres import private_cluster, server_account
from projections import registry
from projections.models import Checkpoint, Heartbeat, ParkedEvent, Rebuild
from projections.operations import actions
from projections.workers.worker import Until, Worker
from tests.hosts.support import connected_by
from tests.projections.support import catch_up, sharded, tally
from tests.readmodels.projections import Tally
from tests.support import Background, Wait, in_threads, manage, manage_process, new, raise_first

pytestmark = pytest.mark.django_db(transaction=True)

KILLS = 50
EVENTS = 20_000


@contextmanager
def worker(*arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A real worker process, at work by the time the block begins; it has ended when the block has."""
    with manage_process("run_projections", *arguments) as process:
        try:
            Wait.until(lambda: Heartbeat.objects.filter(pid=process.pid).exists(), what="a heartbeat")
            yield process
        finally:
            process.kill()


def test_workers_killed_fifty_times_count_every_event_once(store: EventStore) -> None:
    ended = threading.Event()

    def write() -> None:
        for number in range(EVENTS // 10):
            store.dispatch(*[new(f"a-{(number + n) % 50}", "Counted") for n in range(10)])
            ended.wait(0.01)

    kills = 0
    with Background(write) as writer, ExitStack() as stack:
        stack.callback(ended.set)
        workers = [_killed_at_exit(stack) for _ in range(4)]
        while kills < KILLS:
            alive = set(Heartbeat.objects.values_list("pid", flat=True))
            for place, each in enumerate(workers):
                if each.pid in alive and kills < KILLS:
                    time.sleep(0.02 * (kills % 7))
                    each.kill()  # SIGKILL
                    assert each.wait() == -signal.SIGKILL
                    workers[place] = _killed_at_exit(stack)
                    kills += 1
            time.sleep(0.01)
        assert writer.error is None
    catch_up("tally", "sharded_tally")
    assert tally()["all"] == EVENTS
    assert sum(count for key, count in tally().items() if key != "all") == EVENTS
    assert sharded() == {f"a-{n}": list(range(1, EVENTS // 50 + 1)) for n in range(50)}


def _killed_at_exit(stack: ExitStack) -> "subprocess.Popen[str]":
    process = stack.enter_context(manage_process("run_projections", "tally", "sharded_tally"))
    stack.callback(process.kill)
    return process


def test_work_spreads_over_workers_and_the_last_one_does_all(store: EventStore) -> None:
    """Three workers, four shards: order per aggregate holds, each does some, and two may leave."""

    def append(count: int) -> None:
        for _ in range(count):
            store.dispatch(*[new(f"a-{n}", "Counted") for n in range(40)])

    append(100)
    with worker("sharded_tally") as first, worker("sharded_tally") as second, worker("sharded_tally") as third:
        with Background(lambda: append(50)):
            Wait.until(_caught_up("sharded_tally", store), timeout_seconds=60)
        for each in (first, second):
            each.send_signal(signal.SIGTERM)
            output, _ = each.communicate(timeout=20)
            assert each.returncode == 0, output
            assert "ended=true" in output
            assert int(output.rpartition("events=")[2]) > 0, "each has done some of the work"
        append(10)
        Wait.until(_caught_up("sharded_tally", store), timeout_seconds=60)
        third.send_signal(signal.SIGINT)
        assert "ended=true" in third.communicate(timeout=20)[0]
        assert third.returncode == 0
    assert sharded() == {f"a-{n}": list(range(1, 161)) for n in range(40)}
    assert not Heartbeat.objects.exists()


def _caught_up(name: str, store: EventStore) -> Any:
    def condition() -> bool:
        positions = Checkpoint.objects.filter(projection=name).values_list("position", flat=True)
        return min(positions, default=0) >= store.settled_position() > 0

    return condition


def test_several_processes_under_one_command_replace_the_one_that_dies(store: EventStore) -> None:
    with manage_process("run_projections", "tally", "--processes", "2") as parent:
        try:
            Wait.until(lambda: Heartbeat.objects.count() == 2, what="two workers")
            victim = Heartbeat.objects.first()
            assert victim is not None
            os.kill(victim.pid, signal.SIGKILL)
            Wait.until(lambda: Heartbeat.objects.exclude(pid=victim.pid).count() == 2, what="another in its place")
            store.dispatch(new("a-1", "Counted"))
            Wait.until(lambda: tally() == {"all": 1, "a-1": 1})
        finally:
            parent.terminate()
        output, _ = parent.communicate(timeout=20)
    assert parent.returncode == 0, output
    assert f"process={victim.pid} died=true exit_code=-9" in output
    assert list(Heartbeat.objects.values_list("pid", flat=True)) == [victim.pid]


def test_children_end_with_a_parent_that_was_killed(store: EventStore) -> None:
    with manage_process("run_projections", "tally", "--processes", "2") as parent:
        Wait.until(lambda: Heartbeat.objects.count() == 2, what="two workers")
        parent.kill()
        Wait.until(lambda: not Heartbeat.objects.exists(), what="the children to end")


def test_worker_whose_connections_are_cut_goes_on(store: EventStore) -> None:
    with worker("tally") as process:
        for number in range(5):
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
                )
            store.dispatch(new("a-1", "Counted"))
            Wait.until(lambda number=number: tally().get("all") == number + 1)
        process.terminate()
        output, _ = process.communicate(timeout=20)
    assert "database=unavailable" in output
    assert process.returncode == 0


@contextmanager
def connection_cut(times: int, at: str) -> Iterator[None]:
    """The server ends this thread's session, `times` times, before it gets a statement with `at` in it. It stays up."""
    cuts = iter(range(times))

    def cut(execute: Any, sql: str, *args: Any) -> Any:
        if at in sql and next(cuts, None) is not None:
            settings = {key: value for key, value in connection.get_connection_params().items() if key in LOGIN}
            with psycopg.connect(**settings, autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s, 5000)", [connection.connection.info.backend_pid])
        return execute(sql, *args)

    with connection.execute_wrapper(cut):
        yield
    assert next(cuts, None) is None, "it was cut as often as it should be"


@contextmanager
def disk_full(times: int, at: str) -> Iterator[None]:
    """The server says that its disk is full, `times` times, when it gets a statement with `at` in it."""
    rejections = iter(range(times))

    def reject(execute: Any, sql: str, params: Any, *args: Any) -> Any:
        if at in sql and next(rejections, None) is not None:
            sql, params = "DO $$ BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END $$", None
        return execute(sql, params, *args)

    with connection.execute_wrapper(reject):
        yield
    assert next(rejections, None) is None, "it was full as often as it should be"


LOGIN = ("dbname", "host", "port", "user", "password")


OUTAGES = pytest.mark.parametrize("outage", [connection_cut, disk_full])


@OUTAGES
def test_outage_inside_a_pass_is_no_event_s_fault(store: EventStore, outage: Any) -> None:
    """Django has a new connection by the time the error comes out of the transaction; it was lost all the same."""
    store.dispatch(new("a-1", "Counted"))
    with outage(4, "INSERT INTO readmodels_total"):  # an event that fails so often is parked
        Worker(registry.named(["tally"]), should_continue=lambda: not (tally() or ParkedEvent.objects.exists())).run()
    assert tally() == {"all": 1, "a-1": 1}
    assert not ParkedEvent.objects.exists()


@OUTAGES
@pytest.mark.parametrize("at", ["INCLUDING", 'DELETE FROM "projections_rebuild"'], ids=["beginning", "switch"])
def test_outage_inside_a_rebuild_does_not_stop_it(store: EventStore, at: str, outage: Any) -> None:
    store.dispatch(new("a-1", "Counted"))
    catch_up("tally")
    actions.ask_for_rebuild("tally", by="test")
    with outage(1, at):
        Worker(registry.named(["tally"]), should_continue=lambda: Rebuild.objects.filter(error="").exists()).run()
    assert not Rebuild.objects.exists()
    assert tally() == {"all": 1, "a-1": 1}


def test_postgres_restarted_in_immediate_mode_loses_and_doubles_nothing(cluster_folder: Path) -> None:
    """A server of the test's own is killed four times while real workers and a real writer are at it."""
    cluster = Cluster(cluster_folder / "cluster", private_cluster().bindir, server_account())
    cluster.join()
    url = f"postgres://{SUPERUSER}@{str(cluster.sockets).replace('/', '%2F')}/{DATABASE}"
    environment = {"DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": url}

    def start(*arguments: str) -> "subprocess.Popen[str]":
        return manage_process(*arguments, **environment)

    def count(query: str) -> int:
        with psycopg.connect(host=str(cluster.sockets), user=SUPERUSER, dbname=DATABASE) as server:
            row = server.execute(query).fetchone()
        return int(row[0] or 0) if row else 0

    try:
        manage("migrate", "--run-syncdb", "-v0", **environment)
        with ExitStack() as stack:
            writer = stack.enter_context(start("shell", "-c", WRITER))
            workers = [stack.enter_context(start("run_projections", "tally")) for _ in range(2)]
            stack.callback(lambda: [each.kill() for each in (writer, *workers)])
            Wait.until(lambda: count("SELECT count(*) FROM projections_heartbeat") == 2, timeout_seconds=60)
            before = 0
            for _ in range(4):
                Wait.until(
                    lambda before=before: count("SELECT count FROM readmodels_total WHERE key = 'all'") > before,
                    what="some progress",
                    timeout_seconds=60,
                )
                subprocess.run(
                    [
                        cluster.bindir / "pg_ctl",
                        "-D",
                        cluster.data,
                        "-m",
                        "immediate",
                        "-w",
                        "restart",
                        "-l",
                        "/dev/null",
                    ],
                    check=True,
                    user=cluster.account.pw_uid if cluster.account else None,
                    capture_output=True,
                )
                before = count("SELECT count FROM readmodels_total WHERE key = 'all'")
            writer.terminate()
            writer.wait()
            Wait.until(
                lambda: (
                    count("SELECT count FROM readmodels_total WHERE key = 'all'")
                    == count("SELECT count(*) FROM events_event")
                ),
                timeout_seconds=60,
            )
            for each in workers:
                each.terminate()
                output, _ = each.communicate(timeout=20)
                assert each.returncode == 0, output
                assert "database=unavailable" in output
        assert count("SELECT count(*) FROM events_event") > 0
        assert count("SELECT sum(count) FROM readmodels_total WHERE key <> 'all'") == count(
            "SELECT count(*) FROM events_event"
        )
    finally:
        cluster.leave()


WRITER = """
import time
from django.db import Error, connection
from events.store import EventStore
from events.types import NewEvent
number = 0
while True:
    try:
        EventStore().dispatch(NewEvent(f"a-{number % 7}", "Counted"))
        number += 1
        time.sleep(0.002)
    except Error:
        connection.close()
        time.sleep(0.05)
"""


def test_once_does_one_pass_over_each_shard(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tally, "batch_events", 500)
    store.dispatch(*[new("a-1", "Counted") for _ in range(1200)])
    call_command("run_projections", "tally", once=True)
    assert tally() == {"all": 500, "a-1": 500}
    call_command("run_projections", "tally", until_caught_up=True)
    assert tally() == {"all": 1200, "a-1": 1200}


def test_commands_that_cannot_be_carried_out_say_why() -> None:
    with pytest.raises(CommandError, match=r"There is no projection 'tallly'; registered projections: .*\btally\b"):
        call_command("run_projections", "tallly")
    with pytest.raises(CommandError, match="give 1 or more"):
        call_command("run_projections", processes=0)
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("run_projections", "--once", "--until-caught-up")


def test_worker_goes_on_after_an_error_of_its_own(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong around the passes, it is logged and tried again."""
    from projections.workers import scheduler

    faults = iter([RuntimeError("no plan today")])
    plan = scheduler.plan

    def faulty(*args: Any, **kwargs: Any) -> Any:
        if (fault := next(faults, None)) is not None:
            raise fault
        return plan(*args, **kwargs)

    monkeypatch.setattr(scheduler, "plan", faulty)
    store.dispatch(new("a-1", "Counted"))
    Worker(registry.named(["tally"]), until=Until.STOPPED, should_continue=lambda: not tally()).run()
    assert tally() == {"all": 1, "a-1": 1}


def test_workers_in_threads_never_work_on_one_shard_together(store: EventStore) -> None:
    """Without the lock on the checkpoint, two passes would handle the same events."""
    store.dispatch(*[new(f"a-{n % 3}", "Counted") for n in range(3000)])
    raise_first(in_threads(*[lambda: catch_up("tally", "sharded_tally")] * 4))
    assert tally()["all"] == 3000
    assert all(versions == list(range(1, 1001)) for versions in sharded().values())


def test_who_waits_for_the_end_is_told_when_the_database_does_not_come_back(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.workers.worker.GIVE_UP_SECONDS", 0.3)
    store.dispatch(new("a-1", "Counted"))
    with connected_by({"HOST": "/nowhere"}), pytest.raises(OperationalError):
        Worker(registry.named(["tally"]), until=Until.CAUGHT_UP).run()
    Worker(registry.named(["tally"]), until=Until.CAUGHT_UP).run()
    assert tally() == {"all": 1, "a-1": 1}
