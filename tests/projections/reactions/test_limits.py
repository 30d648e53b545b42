"""A handler that calls another system has a time limit."""

import time

import pytest

from events.models import Event
from projections.base import handles
from projections.models import ParkedEvent
from projections.reactions import EXTERNAL, Actions, Reaction
from projections.reactions.limits import TimeLimitExceeded
from tests.projections.reactions.support import (
    Answers,
    Asked,
    ask,
    registered,
)
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)


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
