"""Moving a reaction: back, what it has stored is not stored again, and forward, nothing happens at all."""

import threading
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from projections.engine import runner
from projections.engine.registration import ensure_registered
from projections.exceptions import OperationRejected
from projections.models import Operation, ParkedEvent
from projections.operations import actions
from projections.reactions import moving
from projections.registry import get
from tests.projections.reactions.support import Answers, answers, ask, counters, registered, store, target
from tests.projections.support import catch_up, checkpoint
from tests.support import Background, Wait

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reactions")]


def counted() -> int:
    return len(store.get_events_for_aggregate("counter-all"))


def test_rewind_stores_nothing_twice_and_keeps_the_keys() -> None:
    asked = ask(1, 2, 3)
    catch_up("answers", "counts", "sends")
    for name in ("answers", "counts", "sends"):
        assert moving.rewind(name, asked[1].position, by="x", reason="lost") >= asked[2].position
    assert checkpoint("answers").position == asked[0].position
    catch_up("answers", "counts", "sends")
    assert [event.payload.number for event in answers()] == [1, 2, 3]
    assert counters.get("all").count == counted() == 3
    assert [number for _, number in target.calls] == [1, 2, 3, 2, 3]
    assert len(target.keys) == 3, "a target that knows the keys ignores the calls"
    record = Operation.objects.filter(projection="answers").get()
    assert (record.action, record.position, record.reason) == ("rewind", asked[1].position, "lost")


def test_send_again_stores_and_sends_everything_again_with_new_keys() -> None:
    asked = ask(1, 2, 3)
    catch_up("answers", "counts", "sends")
    for name in ("answers", "counts", "sends"):
        moving.rewind(name, asked[1].position, by="x", send_again=True)
    catch_up("answers", "counts", "sends")
    assert [event.payload.number for event in answers()] == [1, 2, 3, 2, 3]
    assert counted() == 5
    assert len(target.keys) == 5
    # Each event keeps the keys of its last sending.
    for name in ("answers", "counts", "sends"):
        moving.rewind(name, asked[0].position, by="x")
    catch_up("answers", "counts", "sends")
    assert [event.payload.number for event in answers()] == [1, 2, 3, 2, 3]
    assert counted() == 5
    assert len(target.keys) == 5


def test_parked_events_after_the_position_come_again() -> None:
    class Failing(Answers):
        name, retry_delays_seconds = "failing", ()

        def answer(self, event: Any, do: Any) -> None:
            raise LookupError

        answer.handled_types = Answers.answer.handled_types  # type: ignore[attr-defined]

    first, second = ask(1)[0], ask(2, aggregate_id="question-2")[0]
    with registered(Failing):
        catch_up("failing")
        assert ParkedEvent.objects.count() == 2
        moving.rewind("failing", second.position, by="x")
        assert ParkedEvent.objects.get().position == first.position
        catch_up("failing")
        assert ParkedEvent.objects.count() == 2


def test_what_cannot_be_rewound_is_said() -> None:
    with pytest.raises(OperationRejected, match="has reached position 0"):
        moving.rewind("answers", 5, by="x")
    with pytest.raises(OperationRejected, match="from 1 up"):
        moving.rewind("answers", 0, by="x")
    with pytest.raises(OperationRejected, match="is a projection; rebuild it"):
        moving.rewind("tally", 1, by="x")
    assert not Operation.objects.exists()


def test_command_asks_and_reports(capsys: Any) -> None:
    (asked,) = ask(1)
    catch_up("answers")
    with pytest.raises(CommandError, match="pass --yes"):
        call_command("rewind_reaction", "answers", from_position=asked.position)
    call_command("rewind_reaction", "answers", from_position=asked.position, yes=True)
    said = capsys.readouterr().out
    assert f"answers was at position {store.settled_position()}, and handles its events from position" in said
    assert checkpoint("answers").position == asked.position - 1


def test_forward_leaves_out_what_is_stored_and_nothing_else(capsys: Any) -> None:
    ask(1)
    catch_up("sends")
    actions.pause("sends", by="x")
    *_, last = ask(2, 3)
    call_command("forward_reaction", "sends", reason="the import of last year")
    assert f"leaves out its events up to position {last.position}." in capsys.readouterr().out
    actions.resume("sends", by="x")
    ask(4)
    catch_up("sends")
    assert [number for _, number in target.calls] == [1, 4]
    record = Operation.objects.get(action="forward")
    assert (record.projection, record.position, record.reason) == ("sends", last.position, "the import of last year")


def test_forward_ends_an_outage_and_keeps_what_has_stepped_aside() -> None:
    ask(1, 2)
    target.is_away = True
    ensure_registered(get("sends"))
    assert runner.run_pass(get("sends"), checkpoint("sends").pk, store.settled_position()).outcome.name == "UNAVAILABLE"
    parked = ParkedEvent.objects.create(
        projection_id="sends", position=1, aggregate_id="a-1", type="reactions-asked", error="KeyError: x"
    )
    before, now = moving.forward("sends", by="x")
    assert (before, now) == (0, store.settled_position())
    target.is_away = False
    found = checkpoint("sends")
    assert (found.unavailable_since, found.next_attempt_at, found.position) == (None, None, now)
    assert ParkedEvent.objects.get() == parked


def test_projection_is_not_forwarded() -> None:
    with pytest.raises(OperationRejected, match="rebuild_projection tally"):
        moving.forward("tally", by="x")


def test_forward_waits_for_a_pass_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the pass would save its own position afterwards, or do what was left out."""
    ask(1)
    ensure_registered(get("sends"))
    inside, may_end = threading.Event(), threading.Event()
    call = target.call

    def slow(key: str, number: int) -> None:
        inside.set()
        may_end.wait(20)
        call(key, number)

    monkeypatch.setattr(target, "call", slow)
    with Background(lambda: catch_up("sends")), Background(lambda: inside.wait(20) and moving.forward("sends", by="x")):
        inside.wait(20)
        Wait.until(_somebody_waits)
        ask(2)
        may_end.set()
    assert [number for _, number in target.calls] == [1]
    assert checkpoint("sends").position == store.settled_position()


def _somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(cursor.fetchone()[0])
