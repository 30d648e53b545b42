"""What the writers write: calls of every kind that `dispatch` knows, drawn by chance."""

import random
from collections.abc import Sequence

from events.types import NewEvent
from tests.torture.journal import Answer, Call, Sent

ACCOUNTS = 24  # few, so that writers meet
PRICES = {"MUG-1": 12.5, "PEN-2": 3.2, "BAG-3": 49.9, "CAP-4": 18.0}
STEPS = ("OrderPaid", "OrderPacked", "OrderShipped", "OrderDelivered")
KEPT_CALLS = 50


class Calls:
    """One writer's calls. It knows the versions that it was answered, which others may have moved on since."""

    def __init__(self, name: str, seed: int) -> None:
        self._name = name
        self._chance = random.Random(f"{seed} {name}")
        self._versions: dict[str, int] = {}
        self._answered: list[Call] = []
        self._number = 0

    def next(self) -> Call:
        self._number += 1
        kinds = {
            self._place_order: 4,
            self._change_order: 4,
            self._batch: 2,
            self._transfer: 4,
            self._think_better_of_it: 1,
            self._repeat: 1,
            self._large: 0.05,
        }
        (kind,) = self._chance.choices(list(kinds), list(kinds.values()))
        return kind()

    def learn(self, call: Call, answers: Sequence[Answer]) -> None:
        """Remember what a call was answered."""
        self.learn_versions(
            {sent.aggregate_id: answer.version for sent, answer in zip(call.events, answers, strict=True)}
        )
        self._answered = [*self._answered, call][-KEPT_CALLS:]

    def learn_versions(self, versions: dict[str, int]) -> None:
        for aggregate_id, version in versions.items():
            self._versions[aggregate_id] = max(version, self._versions.get(aggregate_id, 0))

    def _place_order(self) -> Call:
        order = f"order-{self._name}-{self._number}"
        goods = self._chance.sample(sorted(PRICES), self._chance.randint(1, 3))
        lines = [{"sku": sku, "quantity": self._chance.randint(1, 3), "price": PRICES[sku]} for sku in goods]
        total = round(sum(PRICES[sku] for sku in goods), 2)
        data = {"customer": f"Küçük {self._number} 🛒", "lines": lines, "total": total}
        events = [_event(order, "OrderPlaced", data)]
        events += [_event(order, step) for step in STEPS[: self._chance.choice((0, 0, 1, 3))]]
        return Call(events, {order: 0})

    def _change_order(self) -> Call:
        orders = [each for each in self._versions if each.startswith(f"order-{self._name}-")]
        if not orders:
            return self._place_order()
        order = self._chance.choice(orders[-KEPT_CALLS:])
        return Call([_event(order, self._chance.choice(STEPS), {"n": self._number})], {order: self._versions[order]})

    def _batch(self) -> Call:
        """Many events of one account; now and then large ones, that do not fit into a page of the table."""
        size = self._chance.choice((5, 10, 40))
        text = self._chance.randbytes(3000 if self._chance.random() < 0.1 else 20).hex()
        account = self._account()
        return Call([_event(account, "EntryMade", {"n": n, "text": text}) for n in range(size)])

    def _transfer(self) -> Call:
        """Several accounts at once, in any order; some are expected at a version, which may not hold any more."""
        accounts = [self._account() for _ in range(self._chance.randint(2, 4))]
        events = [
            _event(account, "MoneyMoved", {"amount": n * 2**60, "rate": 0.1 * n}) for n, account in enumerate(accounts)
        ]
        known = {each: self._versions[each] for each in accounts if each in self._versions}
        return Call(events, known if self._chance.random() < 0.5 else None)

    def _think_better_of_it(self) -> Call:
        """Events that the writer stores and then rolls back: their positions are burnt."""
        return Call([_event(self._account(), "NeverMade") for _ in range(self._chance.randint(1, 30))], rolls_back=True)

    def _large(self) -> Call:
        """An event of 1 MB."""
        return Call([_event(self._account(), "DocumentScanned", {"scan": self._chance.randbytes(500_000).hex()})])

    def _repeat(self) -> Call:
        return self._chance.choice(self._answered) if self._answered else self._place_order()

    def _account(self) -> str:
        return f"account-{self._chance.randrange(ACCOUNTS)}"


def _event(aggregate_id: str, event_type: str, data: dict | None = None) -> Sent:
    made = NewEvent(aggregate_id, event_type)
    return Sent(str(made.event_id), aggregate_id, event_type, data or {})
