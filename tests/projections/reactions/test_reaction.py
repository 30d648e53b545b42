"""Reactions: what follows from an event is stored exactly once, and what another system is told has the same key."""

import time
from typing import Any

import pytest
from django.db import connection, transaction

from events.exceptions import Rejected
from events.models import Event
from events.types import NewEvent
from projections.base import NOW, handles
from projections.engine import runner
from projections.engine.registration import ensure_registered
from projections.exceptions import OperationRejected
from projections.models import ParkedEvent, ProjectionState
from projections.operations import actions, status
from projections.reactions import EXTERNAL, Actions, Reaction
from projections.reactions import actions as of_reactions
from projections.reactions.limits import TimeLimitExceeded
from projections.registry import get
from tests.projections.reactions.support import (
    Answered,
    Answers,
    Asked,
    Counter,
    answers,
    ask,
    counters,
    registered,
    store,
    target,
)
from tests.projections.support import catch_up, checkpoint

pytestmark = pytest.mark.django_db(transaction=True)


def one_pass(name: str) -> runner.PassResult:
    return runner.run_pass(get(name), checkpoint(name).pk, store.settled_position())


def test_follow_up_commits_with_the_checkpoint_and_names_its_cause(reactions: None) -> None:
    (asked,) = store.dispatch(NewEvent("question-1", Asked(number=7), metadata={"correlation_id": "flow-7"}))
    catch_up("answers")
    (answered,) = answers()
    assert answered.payload == Answered(number=7)
    assert answered.metadata == {
        "correlation_id": "flow-7",
        "causation_id": str(asked.event_id),
        "reaction": "answers",
    }
    catch_up("answers")
    assert len(answers()) == 1


def test_event_without_a_flow_begins_one(reactions: None) -> None:
    (asked,) = ask(1)
    catch_up("answers")
    assert answers()[0].metadata["correlation_id"] == str(asked.event_id)


def test_reaction_starts_now_unless_it_says_otherwise() -> None:
    class Late(Answers):
        name, start = "late", NOW

    ask(1)
    with registered(Late):
        catch_up("late")
        ask(2)
        catch_up("late")
    assert [event.payload.number for event in answers()] == [2]
    assert ProjectionState.objects.get(name="late").kind == "reaction"


def test_follow_ups_of_a_batch_are_one_append_at_its_end(reactions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(*range(30))
    seen: list[int] = []
    append = of_reactions.append_and_send
    monkeypatch.setattr(
        of_reactions, "append_and_send", lambda rows, *rest: (seen.append(len(rows)), append(rows, *rest))
    )
    catch_up("answers")
    assert seen == [30]
    assert [event.payload.number for event in answers()] == list(range(30))


def test_pass_that_appends_waits_for_the_disk(reactions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[str] = []

    class Looking(Answers):
        name = "looking"

        @handles(Asked)
        def look(self, event: Event, do: Actions) -> None:
            levels.append(shown())

    def shown() -> str:
        with connection.cursor() as cursor:
            cursor.execute("SHOW synchronous_commit")
            return str(cursor.fetchone()[0])

    save = runner.checkpoints.save_position
    monkeypatch.setattr(runner.checkpoints, "save_position", lambda *rest: (levels.append(shown()), save(*rest)))
    ask(1)
    with registered(Looking):
        catch_up("looking")
    assert levels[:2] == ["off", "on"]


def test_failed_event_takes_its_follow_ups_back() -> None:
    class Failing(Answers):
        name, retry_delays_seconds = "failing", ()

        is_broken = True

        @handles(Asked)
        def fail(self, event: Event[Asked], do: Actions) -> None:
            if self.is_broken and event.payload.number == 2:
                raise LookupError("no")

    ask(1, aggregate_id="question-1")
    ask(2, aggregate_id="question-2")
    ask(3, aggregate_id="question-3")
    with registered(Failing):
        catch_up("failing")
        assert [event.payload.number for event in answers()] == [1, 3]
        assert ParkedEvent.objects.get().error == "LookupError: no"
        Failing.is_broken = False
        actions.retry("failing", by="x")
    assert sorted(event.payload.number for event in answers()) == [1, 2, 3]


def test_command_runs_in_the_pass_and_its_events_name_their_cause(reactions: None) -> None:
    asked = ask(1, 2, 3)
    catch_up("counts")
    assert counters.get("all").count == 3
    events = store.get_events_for_aggregate("counter-all")
    assert [event.metadata["causation_id"] for event in events] == [str(each.event_id) for each in asked]
    assert {event.metadata["reaction"] for event in events} == {"counts"}


def test_rejection_of_a_command_may_be_caught_and_the_pass_goes_on() -> None:
    caught: list[int] = []

    class Careful(Reaction):
        name, start = "careful", Answers.start

        @handles(Asked)
        def count(self, event: Event[Asked], do: Actions) -> None:
            try:
                do.handle(counters, "all", Counter.add, 2)
            except Rejected:
                caught.append(event.payload.number)
                do.dispatch(NewEvent("answer-1", Answered(number=event.payload.number)))

    ask(1, 2, 3, 4)
    with registered(Careful):
        catch_up("careful")
    assert caught == [3, 4]
    assert counters.get("all").count == 2
    assert [event.payload.number for event in answers()] == [3, 4]


def test_actions_keep_their_order() -> None:
    class Both(Reaction):
        name, start = "both", Answers.start

        @handles(Asked)
        def react(self, event: Event[Asked], do: Actions) -> None:
            do.dispatch(NewEvent("answer-1", Answered(number=1)))
            do.handle(counters, "all", Counter.add)
            do.dispatch(NewEvent("answer-1", Answered(number=2)))

    ask(1)
    with registered(Both):
        catch_up("both")
    assert [event.type for event in store.read_all()][1:] == [
        "reactions-answered",
        "reactions-counted",
        "reactions-answered",
    ]


def test_pass_with_commands_handles_fifty_events_at_most(reactions: None) -> None:
    ask(*range(120))
    catch_up("answers")
    reaction = get("counts")
    vars(reaction).pop("_runs_commands", None)  # as in a new process
    passes = []
    ensure_registered(reaction)
    while (result := one_pass("counts")).position < store.settled_position():
        passes.append(result.events)
    passes.append(result.events)
    assert [number for number in passes if number] == [50, 50, 20]
    assert counters.get("all").count == 120


def test_external_reaction_handles_one_event_a_transaction_with_the_same_key(reactions: None) -> None:
    ask(1, 2)
    catch_up("answers")
    ensure_registered(get("sends"))
    assert one_pass("sends").events == 1
    assert [number for _, number in target.calls] == [1]
    # The process dies between the effect and the commit.
    with pytest.raises(KeyboardInterrupt), transaction.atomic():
        runner.handle(get("sends"), checkpoint("sends"), runner.next_batch(get("sends"), checkpoint("sends"), 10**9)[0])
        raise KeyboardInterrupt
    one_pass("sends")
    assert [number for _, number in target.calls] == [1, 2, 2]
    assert target.calls[1] == target.calls[2]
    assert len(target.keys) == 2


def test_on_commit_of_a_handler_is_rejected(reactions: None) -> None:
    class Late(Reaction):
        name, start, retry_delays_seconds = "late", Answers.start, ()

        @handles(Asked)
        def react(self, event: Event[Asked], do: Actions) -> None:
            transaction.on_commit(lambda: target.call("late", 1))

    ask(1)
    with registered(Late):
        catch_up("late")
    parked = ParkedEvent.objects.get(projection="late")
    assert "transaction.on_commit(" in parked.error
    assert "Write a Reaction" in parked.error
    assert target.calls == []


def test_on_commit_subscribers_of_follow_ups_run_after_the_pass(reactions: None) -> None:
    seen: list[tuple[int, bool]] = []

    def handler(event: Event[Answered], **kwargs: Any) -> None:
        seen.append((event.payload.number, connection.in_atomic_block))

    ask(1)
    with store.subscribe(Answered, handler, on_commit=True):
        catch_up("answers")
    assert seen == [(1, False)]


def test_handler_of_another_system_has_a_time_limit() -> None:
    class Slow(Reaction):
        name, start, effects = "slow", Answers.start, EXTERNAL
        time_limit_seconds, retry_delays_seconds = 0.1, ()

        @handles(Asked)
        def wait(self, event: Event[Asked], do: Actions) -> None:
            time.sleep(5)

    ask(1)
    with registered(Slow):
        catch_up("slow")
    assert ParkedEvent.objects.get().error.startswith(
        f"{TimeLimitExceeded.__name__}: the handler took longer than 0.1 s"
    )


def test_rebuild_of_a_reaction_is_rejected_with_the_way_out(reactions: None) -> None:
    with pytest.raises(OperationRejected, match="rewind_reaction answers --from POSITION"):
        actions.ask_for_rebuild("answers", by="x")


def test_report_names_its_kind(reactions: None) -> None:
    catch_up("answers")
    assert status.report("answers").kind == "reaction"
    assert status.report("tally").kind == "projection"
