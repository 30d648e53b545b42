"""Several processes under one command."""

import os
import signal

import pytest

from events.store import EventStore
from projections.models import Heartbeat
from tests.projections.support import tally
from tests.support import Wait, manage_process, new

pytestmark = pytest.mark.django_db(transaction=True)


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
