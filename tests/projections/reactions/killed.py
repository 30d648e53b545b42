"""A worker process that is killed: it runs two reactions, one of which tells a file what it does, and their timers.

python -m tests.projections.reactions.killed FILE
"""

import os
import sys
from datetime import timedelta

import django

if __name__ == "__main__":
    django.setup()

from events.models import Event
from events.types import NewEvent
from projections import registry
from projections.base import FIRST_EVENT, handles
from projections.reactions import EXTERNAL, Actions, Reaction
from projections.workers.worker import Worker
from tests.projections.reactions.support import Answered, Asked, Reminded

TIMER_OF_EACH = 10


class Follows(Reaction):
    """Answers each question, and reminds of some."""

    name = "follows"
    start = FIRST_EVENT
    shards = 2
    batch_events = 20  # short passes, so that many commit between two kills

    @handles(Asked)
    def follow(self, event: Event[Asked], do: Actions) -> None:
        number = event.payload.number
        do.dispatch(NewEvent(f"answer-{number}", Answered(number=number)))
        if number % TIMER_OF_EACH == 0:
            reminder = NewEvent(f"reminder-{number}", Reminded(number=number))
            do.schedule(reminder, key=str(number), after=timedelta(seconds=0.2))


class Tells(Reaction):
    """Tells a file of each question: what is written stays, whatever becomes of the transaction."""

    name = "tells"
    start = FIRST_EVENT
    effects = EXTERNAL
    shards = 4

    @handles(Asked)
    def tell(self, event: Event[Asked], do: Actions) -> None:
        os.write(target, f"{do.idempotency_key} {event.payload.number}\n".encode())


REACTIONS = (Follows, Tells)

if __name__ == "__main__":
    target = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for each in REACTIONS:
        registry.register(each)
    Worker([registry.get(each.name) for each in REACTIONS]).run()
