"""Timers fire once, oldest first, when their reaction has handled what was stored before they were due."""

from datetime import timedelta

import pytest
from django.utils import timezone

from events.types import NewEvent
from projections.models import Timer
from tests.projections.reactions.support import Asked, Reminds, registered, reminders, store
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
HOUR = timedelta(hours=1)


def ask_before(age: timedelta, *numbers: int) -> None:
    then = timezone.now() - age
    store.dispatch(*[NewEvent("question-1", Asked(number=number), timestamp=then) for number in numbers])


def test_due_timer_stores_its_event_once_with_the_time_at_which_it_was_due() -> None:
    with registered(Reminds):
        ask_before(2 * HOUR, 1)
        catch_up("reminds")
        catch_up("reminds")
    (reminded,) = reminders()
    (asked,) = store.read_all(types=Asked)
    assert reminded.timestamp == asked.timestamp + HOUR
    assert reminded.metadata == {
        "correlation_id": str(asked.event_id),
        "causation_id": str(asked.event_id),
        "reaction": "reminds",
        "timer": "question-1:1",
    }
    assert not Timer.objects.exists()
