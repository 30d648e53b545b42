"""A target that is away: nothing is parked, no attempt is counted, and everything arrives when it is back."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from events.models import Event
from events.types import NewEvent
from projections.base import handles
from projections.engine import runner
from projections.engine.failures import LONGEST_PAUSE_SECONDS
from projections.engine.registration import ensure_registered
from projections.exceptions import StillUnavailable, Unavailable
from projections.models import Checkpoint, ParkedEvent
from projections.operations import status
from projections.reactions import EXTERNAL, Actions, Reaction
from projections.registry import get
from projections.workers import scheduler
from projections.workers.worker import Until, Worker
from tests.projections.reactions.support import Answers, Asked, answers, ask, registered, store, target
from tests.projections.support import catch_up, checkpoint
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


def one_pass(name: str) -> runner.PassOutcome:
    ensure_registered(get(name))
    return runner.run_pass(get(name), checkpoint(name).pk, store.settled_position()).outcome


def let_time_pass(name: str, seconds: float) -> None:
    """Move the times of a checkpoint into the past."""
    for field in ("next_attempt_at", "unavailable_since"):
        found = Checkpoint.objects.get(projection=name)
        if (at := getattr(found, field)) is not None:
            Checkpoint.objects.filter(pk=found.pk).update(**{field: at - timedelta(seconds=seconds)})


def test_outage_of_ten_minutes_parks_nothing_and_delivers_everything(reactions: None) -> None:
    ask(*range(5))
    target.is_away = True
    pauses = []
    began = timezone.now()
    while sum(pauses) < 600:
        assert one_pass("sends") is runner.PassOutcome.UNAVAILABLE
        held = checkpoint("sends")
        assert held.next_attempt_at is not None
        pause = (held.next_attempt_at - timezone.now()).total_seconds()
        pauses.append(round(pause))
        assert one_pass("sends") is runner.PassOutcome.NOT_LOCKED, "the pause has not passed"
        let_time_pass("sends", pause)
    assert pauses[:4] == [1, 1, 2, 4]
    assert max(pauses) <= LONGEST_PAUSE_SECONDS
    held = checkpoint("sends")
    assert (held.attempts, held.outages, held.position) == (0, 0, 0)
    assert held.unavailable_since is not None
    assert abs((began - held.unavailable_since).total_seconds() - sum(pauses)) < 5
    target.is_away = False
    let_time_pass("sends", 1000)
    catch_up("sends")
    assert [number for _, number in target.calls] == [0, 1, 2, 3, 4]
    assert not ParkedEvent.objects.exists()
    assert checkpoint("sends").unavailable_since is None


def test_pause_of_its_own_is_kept(reactions: None) -> None:
    ask(1)
    target.is_away, target.retry_after_seconds = True, 90
    one_pass("sends")
    held = checkpoint("sends")
    assert held.next_attempt_at is not None
    assert 89 < (held.next_attempt_at - timezone.now()).total_seconds() < 91


@pytest.mark.usefixtures("running_worker")
def test_status_says_what_is_away_and_since_when(reactions: None) -> None:
    before = timezone.now()
    (asked,) = ask(1)
    target.is_away = True
    one_pass("sends")
    report = status.report("sends")
    assert report.status == "unavailable"
    assert report.status_reason == f"waits at position {asked.position}: Unavailable: the target is away"
    assert report.since is not None
    assert before <= report.since <= timezone.now()
    assert report.problem() == ""


def test_events_before_it_are_handled_at_once() -> None:
    class Half(Answers):
        name = "half"

        @handles(Asked)
        def send(self, event: Event[Asked], do: Actions) -> None:
            if event.payload.number == 3:
                target.call("key", 3)

    ask(1, 2, 3, 4)
    target.is_away = True
    with registered(Half):
        assert one_pass("half") is runner.PassOutcome.FAILED
        assert one_pass("half") is runner.PassOutcome.DONE
        assert checkpoint("half").unavailable_since is None
        assert one_pass("half") is runner.PassOutcome.UNAVAILABLE
        target.is_away = False
        let_time_pass("half", 10)
        catch_up("half")
    assert [event.payload.number for event in store.read_all() if event.type == "reactions-answered"] == [1, 2, 3, 4]


class Batches(Reaction):
    """Sends batches, and is interrupted after a part."""

    name, effects, start = "batches", EXTERNAL, Answers.start
    types = [Asked]
    done: int | None = None

    def project_batch(self, events: Sequence[Event], do: Actions) -> None:
        for event in events:
            if event.position == self.done:
                Batches.done = None
                target.call(do.idempotency_key_of(event), event.payload.number)
                raise Unavailable("the broker died", done=event.position)
            target.call(do.idempotency_key_of(event), event.payload.number)


def test_part_of_a_batch_that_is_done_stays_done() -> None:
    asked = ask(*range(500))
    Batches.done = asked[299].position
    with registered(Batches):
        assert one_pass("batches") is runner.PassOutcome.UNAVAILABLE
        held = checkpoint("batches")
        assert (held.position, held.failing_position) == (asked[299].position, asked[300].position)
        assert held.unavailable_since is not None
        let_time_pass("batches", 10)
        catch_up("batches")
    assert [number for _, number in target.calls] == list(range(500))


def test_position_that_is_not_of_the_batch_is_a_failure() -> None:
    class Lying(Batches):
        name, retry_delays_seconds = "lying", ()

        def project_batch(self, events: Sequence[Event], do: Actions) -> None:
            raise Unavailable(done=10**9)

    ask(1)
    with registered(Lying):
        catch_up("lying")
    assert "give the position of an event of the batch" in ParkedEvent.objects.get().error


@pytest.mark.parametrize("seconds", [0, -1, 86_401, float("nan")])
def test_pause_out_of_range_is_an_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="give more than 0 and at most 86400"):
        Unavailable(retry_after_seconds=seconds)


def test_projection_may_say_so_too(mended: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: Any, event: Event) -> None:
        raise Unavailable("no rates")

    monkeypatch.setattr(Fragile, "check", away)
    store.dispatch(NewEvent("a-1", "Fragile", {"poison": 1}))
    assert one_pass("fragile") is runner.PassOutcome.UNAVAILABLE
    assert not ParkedEvent.objects.exists()
    mended()
    let_time_pass("fragile", 10)
    catch_up("fragile")
    assert checkpoint("fragile").position == store.settled_position()


def test_worker_goes_on_with_others_meanwhile(reactions: None) -> None:
    (asked,) = ask(1)
    target.is_away = True
    Worker([get("sends"), get("answers")], until=Until.ONCE).run()
    assert checkpoint("answers").position == asked.position
    assert checkpoint("sends").unavailable_since is not None


def test_worker_that_is_to_catch_up_gives_up_and_the_next_one_goes_on(
    reactions: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "GIVE_UP_SECONDS", 0.3)
    ask(1, 2)
    target.is_away = True
    with pytest.raises(StillUnavailable, match=r"'sends' cannot catch up.*the target is away"):
        Worker([get("sends"), get("answers")], until=Until.CAUGHT_UP).run()
    assert len(answers()) == 2, "the others have caught up"
    with pytest.raises(CommandError, match="'sends' cannot catch up"):
        call_command("run_projections", "sends", until_caught_up=True)
    target.is_away = False
    let_time_pass("sends", 1000)
    call_command("run_projections", "sends", until_caught_up=True)
    assert [number for _, number in target.calls] == [1, 2]


def test_worker_that_is_to_catch_up_waits_for_a_short_outage(reactions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    target.retry_after_seconds = 0.3
    ask(1)
    target.is_away = True
    monkeypatch.setattr(target, "call", _away_once(target))
    Worker([get("sends")], until=Until.CAUGHT_UP).run()
    assert [number for _, number in target.calls] == [1]


def _away_once(target: Any) -> Any:
    call = target.call

    def away_once(*given: Any) -> Any:
        try:
            return call(*given)
        finally:
            target.is_away = False

    return away_once
