"""What handlers may not do in a pass: effects on commit."""

from typing import Any

import pytest
from django.db import connection, transaction

from events.models import Event
from events.types import NewEvent
from projections.base import handles
from projections.models import ParkedEvent
from projections.reactions import Actions, Reaction
from tests.projections.reactions.support import (
    Answered,
    Answers,
    Asked,
    ask,
    registered,
    store,
    target,
)
from tests.projections.support import catch_up
from tests.readmodels.models import FragileNote
from tests.readmodels.projections import Fragile

pytestmark = pytest.mark.django_db(transaction=True)


def test_on_commit_of_a_handler_is_rejected() -> None:
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


def test_on_commit_of_a_projection_is_rejected_and_its_rows_are_rolled_back() -> None:
    class Late(Fragile):
        name = "late_projection"
        models = []
        retry_delays_seconds = ()

        @handles("Noted")
        def note(self, event: Event) -> None:
            FragileNote.objects.create(aggregate_id=event.aggregate_id, version=event.version)
            transaction.on_commit(lambda: target.call("late", 1))

    store.dispatch(NewEvent("a-1", "Noted"))
    with registered(Late):
        catch_up("late_projection")
    assert "A rebuild would call the function again" in ParkedEvent.objects.get(projection="late_projection").error
    assert (target.calls, FragileNote.objects.count()) == ([], 0)


def test_on_commit_subscribers_of_follow_ups_run_after_the_pass() -> None:
    seen: list[tuple[int, bool]] = []

    def handler(event: Event[Answered], **kwargs: Any) -> None:
        seen.append((event.payload.number, connection.in_atomic_block))

    ask(1)
    with registered(Answers), store.subscribe(Answered, handler, on_commit=True):
        catch_up("answers")
    assert seen == [(1, False)]
