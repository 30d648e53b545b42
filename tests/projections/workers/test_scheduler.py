"""The schedule: every shard is worked on, by one worker at a time, whatever the number of shards was before."""

import signal
from typing import Any

import pytest
from django.core.management import call_command

from events.store import EventStore
from projections.engine import runner
from projections.models import Checkpoint, Heartbeat
from tests.projections.support import catch_up, instance, sharded, tally
from tests.projections.workers.support import worker
from tests.readmodels.projections import Tally
from tests.support import Background, Wait, in_threads, new, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


def test_number_of_shards_can_change_at_any_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    for shards in (3, 1, 5, 4):
        store.dispatch(*[new(f"a-{n % 9}", "Counted") for n in range(90)])
        monkeypatch.setattr(Tally, "shards", shards)
        catch_up("tally")
        assert Checkpoint.objects.filter(projection="tally").count() == shards
    store.dispatch(*[new(f"a-{n % 9}", "Counted") for n in range(90)])
    for checkpoint in Checkpoint.objects.filter(projection="tally", shard__lt=2):
        # As if some shards had been left behind when the number changed.
        runner.run_pass(instance(Tally), checkpoint.pk, store.settled_position())
    monkeypatch.setattr(Tally, "shards", 2)
    catch_up("tally")
    assert Checkpoint.objects.filter(projection="tally").count() == 2
    assert tally()["all"] == 450
    assert all(count == 50 for key, count in tally().items() if key != "all")


def test_work_spreads_over_workers_and_the_last_one_does_all(store: EventStore) -> None:
    """Three workers, four shards: order per aggregate holds, each does some, and two may leave."""

    def append(count: int) -> None:
        for _ in range(count):
            store.dispatch(*[new(f"a-{n}", "Counted") for n in range(40)])

    append(20)
    with worker("sharded_tally") as first, worker("sharded_tally") as second, worker("sharded_tally") as third:
        with Background(lambda: append(25)):
            Wait.until(_caught_up("sharded_tally", store), timeout_seconds=60)
        for each in (first, second):
            each.send_signal(signal.SIGTERM)
            output, _ = each.communicate(timeout=20)
            assert each.returncode == 0, output
            assert "ended=true" in output
            assert int(output.rpartition("events=")[2]) > 0, "each has done some of the work"
        append(5)
        Wait.until(_caught_up("sharded_tally", store), timeout_seconds=60)
        third.send_signal(signal.SIGINT)
        assert "ended=true" in third.communicate(timeout=20)[0]
        assert third.returncode == 0
    assert sharded() == {f"a-{n}": list(range(1, 51)) for n in range(40)}
    assert not Heartbeat.objects.exists()


def _caught_up(name: str, store: EventStore) -> Any:
    def condition() -> bool:
        positions = Checkpoint.objects.filter(projection=name).values_list("position", flat=True)
        return min(positions, default=0) >= store.settled_position() > 0

    return condition


def test_once_does_one_pass_over_each_shard(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tally, "batch_events", 50)
    store.dispatch(*[new("a-1", "Counted") for _ in range(120)])
    call_command("run_projections", "tally", once=True)
    assert tally() == {"all": 50, "a-1": 50}
    call_command("run_projections", "tally", until_caught_up=True)
    assert tally() == {"all": 120, "a-1": 120}


def test_workers_in_threads_never_work_on_one_shard_together(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock on the checkpoint, two passes would handle the same events."""
    monkeypatch.setattr(Tally, "batch_events", 20)  # many passes that may meet
    store.dispatch(*[new(f"a-{n % 3}", "Counted") for n in range(600)])
    raise_first(in_threads(*[lambda: catch_up("tally", "sharded_tally")] * 4))
    assert tally()["all"] == 600
    assert all(versions == list(range(1, 201)) for versions in sharded().values())
