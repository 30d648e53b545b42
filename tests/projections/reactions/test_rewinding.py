"""Rewinding a reaction: what it has stored is not stored again, and effects come again as asked."""

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projections.exceptions import OperationRejected
from projections.models import Operation, ParkedEvent
from projections.reactions import rewinding
from tests.projections.reactions.support import Answers, answers, ask, counters, registered, store, target
from tests.projections.support import catch_up, checkpoint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("reactions")]


def counted() -> int:
    return len(store.get_events_for_aggregate("counter-all"))


def test_rewind_stores_nothing_twice_and_keeps_the_keys() -> None:
    asked = ask(1, 2, 3)
    catch_up("answers", "counts", "sends")
    for name in ("answers", "counts", "sends"):
        assert rewinding.rewind(name, asked[1].position, by="x", reason="lost") >= asked[2].position
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
        rewinding.rewind(name, asked[1].position, by="x", send_again=True)
    catch_up("answers", "counts", "sends")
    assert [event.payload.number for event in answers()] == [1, 2, 3, 2, 3]
    assert counted() == 5
    assert len(target.keys) == 5
    # Each event keeps the keys of its last sending.
    for name in ("answers", "counts", "sends"):
        rewinding.rewind(name, asked[0].position, by="x")
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
        rewinding.rewind("failing", second.position, by="x")
        assert ParkedEvent.objects.get().position == first.position
        catch_up("failing")
        assert ParkedEvent.objects.count() == 2


def test_what_cannot_be_rewound_is_said() -> None:
    with pytest.raises(OperationRejected, match="has reached position 0"):
        rewinding.rewind("answers", 5, by="x")
    with pytest.raises(OperationRejected, match="from 1 up"):
        rewinding.rewind("answers", 0, by="x")
    with pytest.raises(OperationRejected, match="is a projection; rebuild it"):
        rewinding.rewind("tally", 1, by="x")
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
