"""Idempotency keys and ids of events follow from the reaction and the event, not from the attempt."""

from uuid import UUID

import pytest

from events.models import Event
from events.types import NewEvent
from projections.base import handles
from projections.models import Operation, ProjectionState
from projections.reactions import Actions, Reaction, moving
from projections.reactions.keys import Keys
from tests.projections.reactions.support import Answered, Answers, Asked, answers, ask, registered
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)


def test_key_is_the_same_at_each_attempt_and_another_for_each_event_and_reaction() -> None:
    first, second = ask(1, 2)
    keys = Keys("answers")
    assert keys.key(first) == Keys("answers").key(first)
    assert str(UUID(keys.key(first))) == keys.key(first)
    everything = {keys.key(first), keys.key(second), Keys("others").key(first), str(keys.event_id(first))}
    assert len(everything) == 4
    assert keys.event_id(first, "dispatch", "", 0) != keys.event_id(first, "dispatch", "", 1)


def test_send_again_gives_new_keys_from_its_position_on_and_a_rewind_does_not(reactions: None) -> None:
    first, second = ask(1, 2)
    catch_up("answers")
    before = [Keys("answers").key(event) for event in (first, second)]
    assert not Keys("answers").are_rewound
    moving.rewind("answers", second.position, by="x")
    assert Keys("answers").are_rewound
    assert [Keys("answers").key(event) for event in (first, second)] == before
    catch_up("answers")
    moving.rewind("answers", second.position, by="x", send_again=True)
    after = [Keys("answers").key(event) for event in (first, second)]
    assert (after[0], after[1] != before[1]) == (before[0], True)


def test_names_keep_the_ids_when_the_code_changes_the_order() -> None:
    class Named(Reaction):
        name, start = "named", Answers.start
        order = ("a", "b")

        @handles(Asked)
        def react(self, event: Event[Asked], do: Actions) -> None:
            for key in self.order:
                do.dispatch(NewEvent(f"answer-{key}", Answered(number=1)), key=key)

    (asked,) = ask(1)
    with registered(Named):
        catch_up("named")
        Named.order = ("c", "b", "a")
        moving.rewind("named", asked.position, by="x")
        catch_up("named")
    assert [event.aggregate_id for event in answers()] == ["answer-a", "answer-b", "answer-c"]
    assert Operation.objects.filter(projection="named").count() == 1
    assert ProjectionState.objects.filter(name="named").exists()
