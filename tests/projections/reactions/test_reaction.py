"""Reactions: what follows from an event is stored exactly once, and what another system is told has the same key."""

import pytest
from django.db import connection, transaction

from events.models import Event
from projections.base import ASYNC, NOW, Kind, handles
from projections.engine import runner
from projections.engine.registration import ensure_registered
from projections.exceptions import OperationRejected
from projections.models import ProjectionState, Rebuild
from projections.operations import actions, status
from projections.reactions import Actions
from projections.registry import all_projections, get
from projections.workers.worker import Until, Worker
from tests.projections.reactions.support import (
    Answers,
    Asked,
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


def test_rebuild_of_a_reaction_is_rejected_with_the_way_out(reactions: None) -> None:
    with pytest.raises(OperationRejected, match="rewind_reaction answers --from POSITION"):
        actions.ask_for_rebuild("answers", by="x")


def test_rebuild_of_every_projection_sends_nothing(reactions: None) -> None:
    ask(1, 2, 3)
    catch_up("sends", "answers", *(each.name for each in all_projections(ASYNC)))
    sent, stored_before = list(target.calls), store.settled_position()
    assert len(sent) == 3
    projections = [each for each in all_projections() if each.kind is Kind.PROJECTION]
    for each in projections:
        actions.ask_for_rebuild(each.name, by="x")
    Worker(until=Until.CAUGHT_UP).run()
    assert not Rebuild.objects.exists()
    assert {status.report(each.name).problem() for each in projections} == {""}
    assert target.calls == sent
    assert store.settled_position() == stored_before


def test_report_names_its_kind(reactions: None) -> None:
    catch_up("answers")
    assert status.report("answers").kind == "reaction"
    assert status.report("tally").kind == "projection"
