"""Workers as they are in the field: real processes, killed, stopped, cut off from the database."""

import signal
import subprocess
import threading
import time
from contextlib import ExitStack
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
from projections.models import Heartbeat
from projections.workers.worker import Until, Worker
from tests import FULL
from tests.clusters import fill
from tests.hosts.support import connected_by
from tests.projections.support import catch_up, sharded, tally
from tests.projections.workers.support import worker
from tests.support import Background, Wait, aggregates, manage, manage_process, new

pytestmark = pytest.mark.django_db(transaction=True)


# More of it in `make test-all`, and with crashes of the server in `make torture`.
KILLS = 50 if FULL else 3


def test_workers_that_are_killed_again_and_again_count_every_event_once(store: EventStore) -> None:
    """There is always work, and each kill comes after some of it was done, at another moment of a pass."""
    ended = threading.Event()

    def write() -> None:
        number = 0
        while not ended.is_set():
            store.dispatch(*[new(f"a-{(number + n) % 50}", "Counted") for n in range(10)])
            number += 1
            ended.wait(0.03)

    with Background(write), ExitStack() as stack:
        stack.callback(ended.set)
        workers = [_killed_at_exit(stack) for _ in range(4)]
        for kill in range(KILLS):
            done = tally().get("all", 0)
            Wait.until(lambda done=done: tally().get("all", 0) > done, timeout_seconds=60, what="some progress")
            alive = set(Heartbeat.objects.values_list("pid", flat=True))
            working = [place for place, each in enumerate(workers) if each.pid in alive]
            place = working[kill % len(working)]
            time.sleep(0.005 * (kill % 7))
            workers[place].kill()  # SIGKILL
            assert workers[place].wait() == -signal.SIGKILL
            workers[place] = _killed_at_exit(stack)
    catch_up("tally", "sharded_tally")
    versions = aggregates()
    assert tally() == {"all": sum(versions.values()), **versions}
    assert sharded() == {name: list(range(1, version + 1)) for name, version in versions.items()}


def _killed_at_exit(stack: ExitStack) -> "subprocess.Popen[str]":
    process = stack.enter_context(manage_process("run_projections", "tally", "sharded_tally"))
    stack.callback(process.kill)
    return process


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


def test_postgres_restarted_in_immediate_mode_loses_and_doubles_nothing(cluster_folder: Path) -> None:
    """A server of the test's own is killed again and again while real workers and a real writer are at it."""
    cluster = Cluster(cluster_folder / "cluster", private_cluster().bindir, server_account())
    fill(cluster)
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
            for _ in range(4 if FULL else 2):
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


def test_commands_that_cannot_be_carried_out_say_why() -> None:
    with pytest.raises(CommandError, match=r"There is no projection 'tallly'; registered projections: .*\btally\b"):
        call_command("run_projections", "tallly")
    with pytest.raises(CommandError, match="give 1 or more"):
        call_command("run_projections", processes=0)
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("run_projections", "--once", "--until-caught-up")
    with pytest.raises(CommandError, match="not on the one of this test"):
        call_command("run_projections", "--once", processes=2)


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


def test_run_until_caught_up_fails_when_the_database_does_not_come_back(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.workers.worker.GIVE_UP_SECONDS", 0.3)
    store.dispatch(new("a-1", "Counted"))
    with connected_by({"HOST": "/nowhere"}), pytest.raises(OperationalError):
        Worker(registry.named(["tally"]), until=Until.CAUGHT_UP).run()
    Worker(registry.named(["tally"]), until=Until.CAUGHT_UP).run()
    assert tally() == {"all": 1, "a-1": 1}
