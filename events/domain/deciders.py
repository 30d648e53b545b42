"""The functional style: an aggregate whose rules are two functions, `evolve` and `decide`.

The form is Jérémie Chassaing's decider:
https://thinkbeforecoding.com/post/2021/12/17/functional-event-sourcing-decider
"""

from collections.abc import Callable, Iterable
from dataclasses import field
from typing import Any, Generic, TypeVar

from .aggregates import Aggregate, creates

State = TypeVar("State")
Command = TypeVar("Command")


class Decider(Aggregate, Generic[State, Command], abstract=True):
    """An aggregate whose `state` is one immutable value; `decider` makes its subclasses."""

    state: State = None  # type: ignore[assignment]  # each subclass has its initial state

    @creates
    def execute(self, command: Command) -> None:
        """Record the events that the function `decide` returns for a command."""
        self.record(*self._decide(self.state, command))

    @classmethod
    def takes(cls, event_type: str) -> bool:
        return True

    def evolve(self, event_type: str, payload: Any) -> None:
        self.state = self._evolve(self.state, payload)

    @staticmethod
    def _decide(state: Any, command: Any) -> Iterable[object]:
        raise NotImplementedError

    @staticmethod
    def _evolve(state: Any, payload: Any) -> Any:
        raise NotImplementedError


def decider(
    category: str,
    *,
    initial: State,
    evolve: Callable[[State, Any], State],
    decide: Callable[[State, Command], Iterable[object]],
) -> type[Decider[State, Command]]:
    """Return an aggregate class whose rules are functions.

    Wallet = decider("wallet", initial=Balance(), evolve=evolve, decide=decide)
    Repository(Wallet).handle("ann", Wallet.execute, Deposit(amount=5))

    Args:
        category: the category of the aggregate ids.
        initial: the state before the first event; it must not be changed in place.
        evolve: returns the state after an event, from the state before it and the payload.
        decide: returns the events, as payloads, that follow from a state and a command. It may raise `Rejected`.

    Raises:
        InvalidEvent: the category is not valid.
    """

    class Decided(Decider[State, Command], category=category):
        # Without these, each decider would be a new definition of one class.
        __module__ = evolve.__module__
        __qualname__ = f"decider({category!r})"

        state: State = field(default_factory=lambda: initial)

        @staticmethod
        def _decide(state: State, command: Any) -> Iterable[object]:
            return decide(state, command)

        @staticmethod
        def _evolve(state: State, payload: Any) -> State:
            return evolve(state, payload)

    # For snapshots, which read states of the type that `evolve` declares.
    Decided.__annotations__["state"] = getattr(evolve, "__annotations__", {}).get("return", type(initial))
    return Decided
