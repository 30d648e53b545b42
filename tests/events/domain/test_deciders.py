"""Aggregates in the functional style."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from events.domain import DomainEvent, Repository, decider
from events.domain.aggregates import defined
from events.exceptions import Rejected
from events.store import EventStore
from events.testing import given
from events.types import NewEvent


class Overdrawn(Rejected):
    pass


@dataclass(frozen=True)
class Balance:
    amount: int = 0


@dataclass(frozen=True)
class Withdraw:
    amount: int


@pytest.fixture
def wallet() -> Any:
    class Deposited(DomainEvent):
        amount: int

    class Withdrawn(DomainEvent):
        amount: int

    def evolve(state: Balance, event: object) -> Balance:
        match event:
            case Deposited(amount=amount):
                return replace(state, amount=state.amount + amount)
            case Withdrawn(amount=amount):
                return replace(state, amount=state.amount - amount)
            case _:
                return state

    def decide(state: Balance, command: Withdraw | int) -> list[object]:
        if isinstance(command, int):
            return [Deposited(amount=command)]
        if command.amount > state.amount:
            raise Overdrawn(f"only {state.amount} are left")
        return [Withdrawn(amount=command.amount)]

    made = decider("wallet", initial=Balance(), evolve=evolve, decide=decide)
    made.Withdrawn, made.Deposited = Withdrawn, Deposited  # type: ignore[attr-defined]
    return made


@pytest.mark.django_db
def test_functions_decide_and_evolve(wallet: Any, store: EventStore) -> None:
    wallets = Repository(wallet)
    wallets.handle("ann", wallet.execute, 10)
    store.dispatch(NewEvent("wallet-ann", "Noted"))
    wallets.handle("ann", wallet.execute, Withdraw(4))
    with pytest.raises(Overdrawn, match="only 6 are left"):
        wallets.handle("ann", wallet.execute, Withdraw(7))
    assert wallets.get("ann").state == Balance(6)
    assert wallets.get("ann", up_to_version=1).state == Balance(10)
    assert [str(each) for each in wallets.diff("ann", 1, 3)] == ["state.amount: 10 -> 6"]
    assert [event.type for event in store.get_events_for_aggregate("wallet-ann")] == ["Deposited", "Noted", "Withdrawn"]


def test_functions_can_be_tested_without_a_database(wallet: Any) -> None:
    after_ten = given(wallet, wallet.Deposited(amount=10))
    after_ten.when(wallet.execute, Withdraw(4)).then(wallet.Withdrawn(amount=4)).state(state=Balance(6))
    after_ten.when(wallet.execute, Withdraw(7)).rejected(Overdrawn)


def test_each_decider_is_a_class_of_its_own(wallet: Any) -> None:
    other = decider("other", initial=0, evolve=lambda state, event: state, decide=lambda state, command: [])
    assert defined() == [wallet, other]
    assert wallet.__module__ == __name__
    assert repr(other) == f"<class '{__name__}.decider('other')'>"
