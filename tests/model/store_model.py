"""The event store in memory, as simple as can be: a list of events, and the rules that a call is judged by."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from events.types import ANY, EXISTS, Expectation, NewEvent

MAX_DEPTH = 4  # of dispatches inside handlers


@dataclass(eq=False)
class Fact:
    """A stored event. What only the database can know (`position`, `recorded_at`) is filled in once it has said so."""

    new: NewEvent
    version: int
    position: int | None = None
    recorded_at: datetime | None = None
    from_sql: bool = False  # stored past Python, by another connection: signals and INLINE projections do not see it

    @property
    def timestamp(self) -> datetime | None:
        return self.new.timestamp or self.recorded_at


class Rejection(Exception):
    """A call is rejected; its arguments are what the error of the store must say."""


class Broken(Exception):
    """What a handler raises."""


@dataclass(eq=False)
class Handler:
    """A subscriber: what it is called for, and what it does besides noting the call.

    Attributes:
        act: what it does in the model.
        calls: (event id, version) of each event it is called for: as the model has it.
        seen: the same as it happened.
    """

    name: str
    event_type: str | None  # None: all
    on_commit: bool
    act: Callable[["Handler", Fact], None] = lambda handler, fact: None
    calls: list[tuple[UUID, int]] = field(default_factory=list)
    seen: list[tuple[UUID, int]] = field(default_factory=list)


class StoreModel:
    """What the store must hold, with its transactions: each keeps the lists as they were when it began."""

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.pending: list[list[Fact]] = []  # stored, but not committed: to be told to the on-commit handlers
        self.handlers: list[Handler] = []
        self._befores: list[tuple[list[Fact], list[list[Fact]]]] = []
        self._depth = 0

    @property
    def committed(self) -> list[Fact]:
        """What others see."""
        return self._befores[0][0] if self._befores else self.facts

    @property
    def open_transactions(self) -> int:
        return len(self._befores)

    def version(self, aggregate_id: str) -> int:
        return sum(fact.new.aggregate_id == aggregate_id for fact in self.facts)

    def versions(self) -> dict[str, int]:
        return {each: self.version(each) for each in {fact.new.aggregate_id for fact in self.facts}}

    def by_id(self) -> dict[UUID, Fact]:
        return {fact.new.event_id: fact for fact in self.facts}

    # Transactions

    def begin(self) -> None:
        self._befores.append((list(self.facts), list(self.pending)))

    def roll_back(self) -> None:
        self.facts, self.pending = self._befores.pop()

    def commit(self) -> None:
        self._befores.pop()
        if self._befores:
            return
        told, self.pending = self.pending, []
        for batch in told:
            for fact in batch:
                for handler in self._handlers_of(fact, on_commit=True):
                    self._call(handler, fact)

    def stored_elsewhere(self, fact: Fact) -> None:
        """Take in what another connection has committed meanwhile: no roll-back of ours takes it away."""
        for facts in (self.facts, *(before for before, _ in self._befores)):
            facts.append(fact)

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        self.begin()
        try:
            yield
        except BaseException:
            self.roll_back()
            raise
        self.commit()

    # Dispatching

    def dispatch(self, events: Sequence[NewEvent], expected: Any) -> tuple[bool, list[Fact]]:
        """Do what the store does; return whether it is a retry, and the events.

        Raises:
            Rejection: with what the error must say.
            Broken: a handler has.
        """
        self._depth += 1
        try:
            if self._depth > MAX_DEPTH:
                raise Rejection("DispatchTooDeep")
            with self._atomic():
                known = self._judge(events, expected)
                if known is not None:
                    return True, known
                new = [self._store(event) for event in events]
                if any(True for fact in new for _ in self._handlers_of(fact, on_commit=True)):
                    self.pending.append(new)
                for fact in new:
                    for handler in list(self._handlers_of(fact, on_commit=False)):
                        handler.calls.append((fact.new.event_id, fact.version))
                        handler.act(handler, fact)
            return False, new
        finally:
            self._depth -= 1

    def _judge(self, events: Sequence[NewEvent], expected: Any) -> list[Fact] | None:
        """Return the events of a call that repeats an earlier one; None: it is new, and may be stored."""
        ids = [event.event_id for event in events]
        for place, event_id in enumerate(ids):
            if event_id in ids[:place]:
                raise Rejection("DuplicateEvent", event_id, None)
        known = self.by_id()
        stored = [known[event_id] for event_id in ids if event_id in known]
        if stored:
            order = [self.facts.index(fact) for fact in stored]
            at_home = all(event.event_id in known and _home(known, event) == event.aggregate_id for event in events)
            if at_home and order == sorted(order):
                for event in events:
                    if (event.type, event.data) != (known[event.event_id].new.type, known[event.event_id].new.data):
                        raise Rejection("DuplicateEvent", event.event_id, event.aggregate_id)
                return stored
            first = min(stored, key=lambda fact: (fact.new.aggregate_id, self.facts.index(fact)))
            raise Rejection("DuplicateEvent", first.new.event_id, first.new.aggregate_id)
        self._check(events, expected)
        return None

    def _check(self, events: Sequence[NewEvent], expected: Any) -> None:
        if not isinstance(expected, Mapping):
            expected = dict.fromkeys((event.aggregate_id for event in events), expected)
        conflicts = [
            (aggregate_id, wanted, actual)
            for aggregate_id, wanted in sorted(expected.items())
            if not _holds(wanted, actual := self.version(aggregate_id))
        ]
        if conflicts:
            raise Rejection("VersionConflict", *conflicts)

    def _store(self, event: NewEvent) -> Fact:
        fact = Fact(event, self.version(event.aggregate_id) + 1)
        self.facts.append(fact)
        return fact

    def _handlers_of(self, fact: Fact, *, on_commit: bool) -> Iterator[Handler]:
        """Those for all come first, then those for its type, each in the order in which they subscribed."""
        for wanted in (None, fact.new.type):
            yield from (each for each in self.handlers if each.on_commit is on_commit and each.event_type == wanted)

    def _call(self, handler: Handler, fact: Fact) -> None:
        handler.calls.append((fact.new.event_id, fact.version))
        with suppress(Broken):  # after the commit an error is logged, no more
            handler.act(handler, fact)


def _holds(wanted: int | Expectation, actual: int) -> bool:
    if wanted is ANY:
        return True
    return actual > 0 if wanted is EXISTS else actual == wanted


def _home(known: Mapping[UUID, Fact], event: NewEvent) -> str:
    return known[event.event_id].new.aggregate_id
