"""What the handlers of a reaction do commits with the checkpoint, exactly once."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from events.domain import Repository
from events.exceptions import Rejected
from events.models import Event
from events.types import NewEvent
from projections.base import handles
from projections.models import ParkedEvent
from projections.operations import actions
from projections.reactions import Actions, Reaction
from projections.reactions import actions as of_reactions
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
)
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)


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


def test_follow_ups_of_a_batch_are_one_append_at_its_end(reactions: None, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(*range(30))
    seen: list[int] = []
    append = of_reactions.store_and_send
    monkeypatch.setattr(
        of_reactions, "store_and_send", lambda rows, *rest: (seen.append(len(rows)), append(rows, *rest))
    )
    catch_up("answers")
    assert seen == [30]
    assert [event.payload.number for event in answers()] == list(range(30))


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


def test_repository_of_another_database_is_rejected() -> None:
    elsewhere = Repository(Counter, using="other")

    class Strange(Reaction):
        name, start, retry_delays_seconds = "strange", Answers.start, ()

        @handles(Asked)
        def count(self, event: Event[Asked], do: Actions) -> None:
            do.handle(elsewhere, "all", Counter.add)

    ask(1)
    with registered(Strange):
        catch_up("strange")
    assert "the repository is of the database 'other'" in ParkedEvent.objects.get().error


@pytest.mark.parametrize("action", ["dispatch", "handle", "schedule", "idempotency_key"])
def test_batch_has_to_name_the_event_that_is_handled(action: str) -> None:
    class Batch(Reaction):
        name, start, types, retry_delays_seconds = "batch", Answers.start, [Asked], ()

        def project_batch(self, events: Sequence[Event], do: Actions) -> None:
            if action == "dispatch":
                do.dispatch(NewEvent("answer-1", Answered(number=1)))
            elif action == "handle":
                do.handle(counters, "all", Counter.add)
            elif action == "schedule":
                do.schedule(NewEvent("answer-1", Answered(number=1)), key="k", after=timedelta(hours=1))
            else:
                assert do.idempotency_key

    ask(1)
    with registered(Batch):
        catch_up("batch")
    expected = f"RuntimeError: {action} needs the event that is handled; a project_batch writes: with do.because_of("
    assert ParkedEvent.objects.get().error.startswith(expected)
    assert answers() == []


def test_events_that_are_no_events_are_rejected() -> None:
    class Wrong(Reaction):
        name, start, retry_delays_seconds = "wrong", Answers.start, ()

        @handles(Asked)
        def react(self, event: Event[Asked], do: Actions) -> None:
            do.dispatch(Answered(number=1))  # type: ignore[arg-type]

    ask(1)
    with registered(Wrong):
        catch_up("wrong")
    assert "InvalidEvent" in ParkedEvent.objects.get().error
