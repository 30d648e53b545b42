"""Reactions that only the tests use, and a target that remembers what it was sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from events.domain import Aggregate, DomainEvent, Repository, applies, creates
from events.exceptions import Rejected
from events.models import Event
from events.store import EventStore
from events.types import NewEvent
from events.validation import validate_events
from projections import registry
from projections.base import FIRST_EVENT, Projection, handles
from projections.exceptions import Unavailable
from projections.models import Timer
from projections.reactions import EXTERNAL, Actions, Reaction

store = EventStore()


@contextmanager
def registered(*reactions: type[Projection]) -> Iterator[None]:
    """Register reactions for the `with` block, in this process and in the database."""
    for each in reactions:
        registry.register(each)
    try:
        yield
    finally:
        for each in reactions:
            registry.unregister(each)


class Asked(DomainEvent, type="reactions-asked"):
    number: int = 0


class Answered(DomainEvent, type="reactions-answered"):
    number: int


class Counted(DomainEvent, type="reactions-counted"):
    pass


class TooMany(Rejected):
    pass


class Counter(Aggregate, category="counter"):
    count: int = 0

    @applies(Counted)
    def counted(self, event: Counted) -> None:
        self.count += 1

    @creates
    def add(self, most: int = 1_000_000) -> None:
        if self.count >= most:
            raise TooMany(f"{self.aggregate_id} is at {self.count}")
        self.record(Counted())


counters = Repository(Counter)


class Answers(Reaction):
    """Answers each question in an aggregate of its own."""

    name = "answers"
    start = FIRST_EVENT

    @handles(Asked)
    def answer(self, event: Event[Asked], do: Actions) -> None:
        do.dispatch(NewEvent(f"answer-{event.position}", Answered(number=event.payload.number)))


class Counts(Reaction):
    """Counts questions by a command."""

    name = "counts"
    start = FIRST_EVENT
    most = 1_000_000

    @handles(Asked)
    def count(self, event: Event[Asked], do: Actions) -> None:
        do.handle(counters, "all", Counter.add, self.most)


class Target:
    """An external system: it remembers each call, and ignores none."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.calls: list[tuple[str, int]] = []
        self.is_away = False
        self.retry_after_seconds: float | None = None

    @property
    def keys(self) -> set[str]:
        return {key for key, _ in self.calls}

    def call(self, key: str, number: int) -> None:
        if self.is_away:
            raise Unavailable("the target is away", retry_after_seconds=self.retry_after_seconds)
        self.calls.append((key, number))


target = Target()


class Sends(Reaction):
    """Sends each question to the target."""

    name = "sends"
    start = FIRST_EVENT
    effects = EXTERNAL

    @handles(Asked)
    def send(self, event: Event[Asked], do: Actions) -> None:
        target.call(do.idempotency_key, event.payload.number)


def ask(*numbers: int, aggregate_id: str = "question-1") -> list[Event]:
    return store.dispatch(*[NewEvent(aggregate_id, Asked(number=number)) for number in numbers])


def answers() -> list[Event]:
    return list(store.read_all(types=[Answered]))


class Reminded(DomainEvent, type="reactions-reminded"):
    number: int


class Reminds(Reaction):
    """Reminds of each question after an hour, unless an answer comes before."""

    name = "reminds"
    start = FIRST_EVENT

    @handles(Asked)
    def start_timer(self, event: Event[Asked], do: Actions) -> None:
        reminder = NewEvent(event.aggregate_id, Reminded(number=event.payload.number))
        do.schedule(reminder, after=timedelta(hours=1), key=f"{event.aggregate_id}:{event.payload.number}")

    @handles(Answered)
    def stop_timer(self, event: Event[Answered], do: Actions) -> None:
        cancelled.append(do.cancel(f"{event.aggregate_id}:{event.payload.number}"))


cancelled: list[bool] = []


def reminders() -> list[Event[Reminded]]:
    return list(store.read_all(types=Reminded))


def add_timers(number: int, due_at: datetime | None = None, reaction: str = "reminds") -> None:
    """Add timers as a pass would; the last one is due first."""
    due_at = due_at or timezone.now() - timedelta(hours=1)
    rows = validate_events(
        NewEvent(f"item-{n % 50}", Reminded(number=n), metadata={"reaction": reaction}) for n in range(number)
    )
    Timer.objects.bulk_create(
        Timer(
            reaction=reaction,
            key=f"k{n}",
            due_at=due_at - timedelta(seconds=n),
            next_attempt_at=due_at - timedelta(seconds=n),
            source_position=1,
            event_id=row.event_id,
            aggregate_id=row.aggregate_id,
            type=row.type,
            data=row.data,
            metadata=row.metadata,
        )
        for n, row in enumerate(rows)
    )


def in_thread(function: Callable[[], Any]) -> threading.Thread:
    def run() -> None:
        try:
            function()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread
