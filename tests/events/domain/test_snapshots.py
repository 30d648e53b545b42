"""Cases 14 to 16 of the domain toolkit: snapshots are folds of stored events, for equal code only, and never needed."""

from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test import TestCase
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from events.domain import (
    Aggregate,
    DomainEvent,
    Repository,
    applies,
    change_together,
    creates,
    decider,
    snapshots,
)
from events.domain.aggregates import state_of
from events.domain.models import Snapshot
from events.exceptions import InvalidEvent, VersionConflict
from events.store import EventStore
from events.types import NewEvent
from tests import FULL

pytestmark = pytest.mark.django_db(transaction=True)


def define(times: int = 1) -> Any:
    class Added(DomainEvent):
        number: int
        price: Decimal = Decimal("1.50")

    class Counter(Aggregate, category="counter"):
        total: int = 0
        numbers: dict[int, list[Decimal]] = field(default_factory=dict)

        @applies(Added)
        def was_added(self, event: Added) -> None:
            self.total += times * event.number
            self.numbers.setdefault(event.number, []).append(event.price)

        @creates
        def add(self, *numbers: int) -> int:
            self.record(*[Added(number=number) for number in numbers])
            return self.total

        def __len__(self) -> int:  # an aggregate may be false
            return 0

    return SimpleNamespace(Added=Added, Counter=Counter)


def kept(aggregate_id: str = "counter-1") -> list[int]:
    return sorted(Snapshot.objects.filter(aggregate_id=aggregate_id).values_list("version", flat=True))


def applied(repository: Repository[Any], **kwargs: Any) -> int:
    """Return how many events a load applies."""
    calls: list[int] = []
    follow = Aggregate.follow

    def counting(self: Any, event: Any) -> None:
        calls.append(event.version)
        follow(self, event)

    with patch.object(Aggregate, "follow", counting):
        repository.get("1", **kwargs)
    return len(calls)


@pytest.fixture
def counters() -> Any:
    types = define()
    repository = Repository(types.Counter, snapshot_every=5)
    repository.handle("1", types.Counter.add, *range(6))
    return SimpleNamespace(add=types.Counter.add, repository=repository, **vars(types))


def test_command_that_applies_so_many_events_keeps_a_snapshot(counters: Any) -> None:
    assert kept() == [], "the first command has applied no stored event"
    assert applied(counters.repository) == 6
    assert kept() == [], "only commands keep snapshots"
    assert counters.repository.handle("1", counters.add, 6) == 21
    assert kept() == [6], "of stored events only"
    assert applied(counters.repository) == 1
    counters.repository.handle("1", counters.add, *range(7, 11))
    counters.repository.handle("1", counters.add, 11)
    assert kept() == [11]
    assert counters.repository.get("1").total == sum(range(12))
    assert state_of(counters.repository.get("1")) == state_of(Repository(counters.Counter).get("1"))
    assert (applied(counters.repository), applied(Repository(counters.Counter))) == (1, 12)


def test_command_that_changes_the_state_itself_does_not_reach_a_snapshot(counters: Any) -> None:
    def cheat(counter: Any) -> None:
        counter.total = 1000
        counter.numbers[1].append(Decimal(1))

    counters.repository.handle("1", cheat)
    assert kept() == [6]
    assert state_of(counters.repository.get("1")) == state_of(Repository(counters.Counter).get("1"))


def test_repository_without_snapshots_makes_no_query_more_and_keeps_none(counters: Any) -> None:
    plain = Repository(counters.Counter)
    with CaptureQueriesContext(connection) as queries:
        plain.handle("1", counters.add, 6)
    assert not any("snapshot" in query["sql"] for query in queries)
    assert kept() == []
    with CaptureQueriesContext(connection) as queries:
        counters.repository.get("1")
    assert sum("snapshot" in query["sql"] for query in queries) == 1


def test_every_way_to_change_keeps_snapshots(counters: Any) -> None:
    from asgiref.sync import async_to_sync

    async def change() -> None:
        async with counters.repository.achange("1"):
            pass

    def together() -> None:
        with change_together(counters.repository["1"], counters.repository["2"]):
            pass

    def alone() -> None:
        with counters.repository.change("1"):
            pass

    for way in (together, alone, async_to_sync(change)):
        Snapshot.objects.all().delete()
        way()
        assert kept() == [6]


def test_earlier_state_uses_a_snapshot_that_is_not_newer(counters: Any) -> None:
    counters.repository.handle("1", counters.add, 6)
    assert applied(counters.repository, up_to_version=7) == 1
    assert applied(counters.repository, up_to_version=6) == 0
    assert applied(counters.repository, up_to_version=5) == 5
    assert counters.repository.get("1", up_to_version=5).total == 10
    assert applied(counters.repository, as_of=timezone.now()) == 7, "clocks may have been set back between events"
    assert [each.path for each in counters.repository.diff("1", 5, 7)] == ["total", "numbers[5]", "numbers[6]"]
    for wrong in ("1", -1, 1.5):
        with pytest.raises(InvalidEvent, match="up_to_version"):
            counters.repository.get("1", up_to_version=wrong)


@settings(max_examples=200 if FULL else 6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    commands=st.lists(st.lists(st.integers(-9, 9), max_size=4), min_size=1, max_size=6),
    every=st.integers(1, 6),
)
def test_snapshot_and_tail_equal_the_full_fold(commands: list[list[int]], every: int) -> None:
    types = define()
    repository, plain = Repository(types.Counter, snapshot_every=every), Repository(types.Counter)
    name = uuid4()
    repository.handle(name, types.Counter.add, 1)
    for numbers in commands:
        repository.handle(name, types.Counter.add, *numbers)
        last = plain.get(name)
        for version in {1, last.version // 2 or 1, last.version}:
            both = [each.get(name, up_to_version=version) for each in (repository, plain)]
            assert state_of(both[0]) == state_of(both[1])
            assert [each.version for each in both] == [version, version]
    with repository.change(name):
        pass
    assert bool(kept(f"counter-{name}")) == (last.version >= every)


def test_other_code_folds_again_and_keeps_a_snapshot_of_its_own(counters: Any) -> None:
    counters.repository.handle("1", counters.add)
    newer = define(times=2)
    new = Repository(newer.Counter, snapshot_every=5)
    assert applied(new) == 6
    assert new.handle("1", newer.Counter.add) == 30
    assert kept() == [6, 6]
    assert (applied(new), applied(counters.repository)) == (0, 0)
    assert (new.get("1").total, counters.repository.get("1").total) == (30, 15), "old processes keep theirs"


@pytest.mark.parametrize("state", ["", "{}", '{"total": "x", "numbers": {}}', '{"total": 1, "numbers": {}, "more": 1}'])
def test_snapshot_that_cannot_be_read_is_logged_and_not_used(
    counters: Any, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    counters.repository.handle("1", counters.add)
    Snapshot.objects.update(state=state)
    assert counters.repository.handle("1", counters.add) == 15
    assert "The snapshot of counter-1 at version 6 cannot be read; all its events are applied instead" in caplog.text
    assert applied(counters.repository) == 0, "the next one has taken its place"


def test_snapshot_without_its_event_is_not_used_and_gives_way(counters: Any) -> None:
    """A table of snapshots from another time, beside events of a backup."""
    counters.repository.handle("1", counters.add)
    for other in ({"version": 60}, {"event_id": uuid4()}):
        Snapshot.objects.update(**other)
        assert applied(counters.repository) == 6
        counters.repository.handle("1", counters.add)
        assert kept() == [6]
        assert applied(counters.repository) == 0


def test_snapshot_of_fewer_events_does_not_replace_one_of_more(counters: Any) -> None:
    (event,) = EventStore().get_events_for_aggregate("counter-1", after_version=5)
    counters.repository.handle("1", counters.add)
    fingerprint = Snapshot.objects.get().fingerprint
    fewer = snapshots.Taken("counter-1", fingerprint, 3, event.event_id, "{}")
    snapshots.keep(fewer, "default")
    assert kept() == [6]


def test_error_of_the_write_does_not_reach_the_command(counters: Any, caplog: pytest.LogCaptureFixture) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_domain_snapshot ADD CHECK (version < 0) NOT VALID")
        try:
            assert counters.repository.handle("1", counters.add, 6) == 21
            with transaction.atomic():
                counters.repository.handle("1", counters.add, 7)
            with transaction.atomic(), TestCase.captureOnCommitCallbacks(execute=True):  # as in a TestCase
                counters.repository.handle("1", counters.add, 8)
        finally:
            cursor.execute("ALTER TABLE events_domain_snapshot DROP CONSTRAINT events_domain_snapshot_version_check")
    assert caplog.text.count("The snapshot of counter-1 at version") >= 3
    assert counters.repository.get("1").version == 9


def test_transaction_keeps_snapshots_once_it_has_committed(counters: Any) -> None:
    add = partial(EventStore().dispatch, *[NewEvent("counter-1", counters.Added(number=1)) for _ in range(9)])
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            add()
            counters.repository.handle("1", counters.add)
            raise ZeroDivisionError
        counters.repository.handle("1", counters.add)
        assert kept() == [], "and hold no lock until then"
    assert kept() == [6]
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        add()
        counters.repository.handle("1", counters.add)
        assert counters.repository.get("1").total == 24
        raise ZeroDivisionError
    assert kept() == [6]
    assert counters.repository.get("1").total == 15


def test_block_that_outlives_a_savepoint_keeps_no_usable_snapshot_of_what_was_rolled_back(counters: Any) -> None:
    with transaction.atomic():
        block = counters.repository.change("1")
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            EventStore().dispatch(NewEvent("counter-1", counters.Added(number=1000)))
            block.__enter__()
            raise ZeroDivisionError
        block.__exit__(None, None, None)
    counters.repository.handle("1", counters.add, 6)
    assert counters.repository.get("1").total == 21


def test_conflict_and_rejection_keep_none(counters: Any) -> None:
    with pytest.raises(VersionConflict), counters.repository.change("1") as counter:
        EventStore().dispatch(NewEvent("counter-1", counters.Added(number=1)))
        counter.add(1)
    assert kept() == []


def test_state_without_an_exact_form_is_not_kept_but_logged_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    class Set(DomainEvent):
        value: int

    class Kept(Aggregate, category="kept"):
        value: Decimal = Decimal(0)

        @applies(Set)
        def was_set(self, event: Set) -> None:
            self.value = event.value  # type: ignore[assignment]

        @creates
        def put(self, value: int) -> None:
            self.record(Set(value=value))

    repository = Repository(Kept, snapshot_every=1)
    for value in range(4):
        repository.handle("1", Kept.put, value)
    assert kept("kept-1") == []
    assert caplog.text.count("No snapshot of kept-1 is taken: its state does not come back from JSON as it was: ") == 1
    assert "value: 0 -> Decimal('0')" in caplog.text
    with patch("time.monotonic", lambda: float("inf")):
        repository.handle("1", Kept.put, 5)
    assert caplog.text.count("No snapshot of kept-1 is taken") == 2


def test_wrong_arguments_are_errors_of_the_repository() -> None:
    class Own:
        pass

    class Kept(Aggregate, category="kept"):
        value: list[Own] = field(default_factory=list)

    Repository(Kept)
    with pytest.raises(InvalidEvent, match=r"snapshot_every: .*Kept.value has no form in JSON"):
        Repository(Kept, snapshot_every=5)
    for wrong in (0, -1, 1.5, "5", True):
        with pytest.raises(InvalidEvent, match=r"snapshot_every: is .*; give a whole number from 1 up, or None"):
            Repository(Kept, snapshot_every=wrong)  # type: ignore[arg-type]


def test_functional_style_has_snapshots() -> None:
    class Deposited(DomainEvent):
        amount: Decimal

    @dataclass(frozen=True)
    class Balance:
        amount: Decimal = Decimal(0)

    def evolve(state: Balance, event: Deposited) -> Balance:
        return Balance(state.amount + event.amount)

    wallet = decider(
        "wallet", initial=Balance(), evolve=evolve, decide=lambda state, amount: [Deposited(amount=amount)]
    )
    wallets = Repository(wallet, snapshot_every=2)
    for amount in ("1.50", "2.00", "3.00"):
        wallets.handle("ann", wallet.execute, Decimal(amount))
    assert kept("wallet-ann") == [2]
    assert wallets.get("ann").state == Balance(Decimal("6.50"))
