"""The base class of reactions: what the handlers do, and how a pass over the events differs from a projection's."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, ClassVar, Final

from events.models import Event
from events.routing import database
from projections.base import ASYNC, NOW, Kind, Mode, Projection, Start

from .actions import MAX_EVENTS_BESIDE_COMMANDS, Actions
from .firing import fire_due
from .limits import limit_transaction, time_limit


class Effects(StrEnum):
    """Where the effects of a reaction are."""

    INTERNAL = "internal"  # in the same database, so they commit with the checkpoint: exactly once
    EXTERNAL = "external"  # in another system, which knows nothing of the transaction: at least once


INTERNAL: Final = Effects.INTERNAL
EXTERNAL: Final = Effects.EXTERNAL


class Reaction(Projection):
    """A durable consumer of events that causes effects: further events, commands, calls of other systems.

    @register
    class Receipts(Reaction):
        name, effects = "receipts", EXTERNAL

        @handles(OrderPaid)
        def send(self, event: Event[OrderPaid], do: Actions) -> None:
            mail_receipt(event.payload.customer, key=do.idempotency_key)

    It runs in workers, as an ASYNC projection does, with shards, retries and parked events. It is never rebuilt: that
    would cause the effects again. `rewind_reaction` lets it handle events again on purpose.

    Attributes:
        effects: INTERNAL: a pass handles a batch of events; what `do` does commits with the checkpoint, exactly once.
            EXTERNAL: a pass handles one event, or one batch if there is a `project_batch`, at least once and each time
            with the same idempotency key.
        start: NOW, or FIRST_EVENT to handle also the events that were stored before it was registered.
        time_limit_seconds: EXTERNAL: how long the handlers of a pass may take, because they hold a transaction open.
    """

    kind: ClassVar[Kind] = Kind.REACTION
    mode: ClassVar[Mode] = ASYNC
    start: ClassVar[Start] = NOW
    effects: ClassVar[Effects] = INTERNAL
    time_limit_seconds: ClassVar[float] = 30.0

    _further_arguments = ("do",)
    _runs_commands = False

    @property
    def events_per_pass(self) -> int:
        if self.effects is EXTERNAL and not self.works_on_sets():
            return 1
        return min(self.batch_events, MAX_EVENTS_BESIDE_COMMANDS) if self._runs_commands else self.batch_events

    @classmethod
    def works_on_sets(cls) -> bool:
        return cls.project_batch is not Reaction.project_batch

    @contextmanager
    def open_pass(self) -> Iterator[Callable[..., None]]:
        do = Actions(self.name)
        if self.effects is EXTERNAL:
            limit_transaction(self.time_limit_seconds, database())

        def handle(events: Sequence[Event], check: Callable[[], Any] = lambda: None) -> None:
            try:
                with do.undone_on_error(events):
                    self._handle(events, do)
                    check()
            finally:
                # The next passes are shorter from the beginning.
                self._runs_commands |= do.has_run_commands

        yield handle
        do.finish()

    def project_batch(self, events: Sequence[Event], do: Actions) -> None:
        """React to `events`, which are ordered by position.

        Raises:
            HandlerFailed: a handler raised an exception, which is its cause.
            Unavailable: one that overrides this may raise it with the position up to which it is done.
        """
        for event in events:
            with do.because_of(event):
                self._call_handlers(event, do)

    def fire_due_timers(self) -> int:
        return fire_due(self)

    def _handle(self, events: Sequence[Event], do: Actions) -> None:
        if self.effects is EXTERNAL:
            with time_limit(self.time_limit_seconds):
                self.project_batch(events, do)
        else:
            self.project_batch(events, do)
