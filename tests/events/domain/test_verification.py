"""`verify_snapshots`: snapshots are provably equal to the folds of their events."""

import io
from dataclasses import field
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from events.domain import Aggregate, DomainEvent, Repository, applies, creates, register_codec
from events.domain.models import Snapshot

pytestmark = pytest.mark.django_db(transaction=True)


def define(sign: int = 1) -> Repository[Any]:
    class Added(DomainEvent):
        number: int

    class Counter(Aggregate, category="counter"):
        total: int = 0
        numbers: list[int] = field(default_factory=list)

        @applies(Added)
        def was_added(self, event: Added) -> None:
            self.total += sign * event.number
            self.numbers.append(event.number)

        @creates
        def add(self, number: int = 0) -> None:
            self.record(Added(number=number))

    class Unkept(Aggregate, category="unkept"):
        value: object = None

    return Repository(Counter, snapshot_every=3)


@pytest.fixture
def counters() -> Repository[Any]:
    repository = define()
    for counter in "ab":
        for number in range(4):
            repository.handle(counter, repository.aggregate_class.add, number)
    assert Snapshot.objects.count() == 2
    return repository


def verify(*arguments: str) -> tuple[str, str]:
    """Return what the command prints, and its error."""
    out = io.StringIO()
    try:
        call_command("verify_snapshots", *arguments, stdout=out)
    except CommandError as error:
        return out.getvalue(), f"{error} ({error.returncode})"
    return out.getvalue(), ""


def test_snapshots_that_are_right_are_counted(counters: Any) -> None:
    assert verify() == ("Verified: 2 snapshots.\n", "")
    Snapshot.objects.all().delete()
    assert verify() == ("Verified: 0 snapshots.\n", "")


def test_snapshot_that_differs_is_named_and_deleted(counters: Any) -> None:
    Snapshot.objects.filter(aggregate_id="counter-a").update(state='{"total": 4, "numbers": [0, 1, 5]}')
    printed, error = verify()
    assert printed == (
        "snapshot of counter-a at version 3: total is 4 in the snapshot and 3 by the events\n"
        "snapshot of counter-a at version 3: numbers[2] is 5 in the snapshot and 2 by the events\n"
        "Verified: 2 snapshots.\n"
    )
    assert error == "Wrong: 1 snapshot. Delete them with --delete; commands make new ones. (1)"
    assert "They were deleted" in verify("--delete")[1]
    assert verify() == ("Verified: 1 snapshot.\n", "")


def test_snapshot_that_no_load_would_use_is_wrong(counters: Any) -> None:
    Snapshot.objects.filter(aggregate_id="counter-a").update(state="{}")
    Snapshot.objects.filter(aggregate_id="counter-b").update(version=60, event_id=uuid4())
    printed, error = verify()
    assert "counter-a at version 3: its state cannot be read, so it is not used: " in printed
    assert "counter-b at version 60: its last event" in printed
    assert error.startswith("Wrong: 2 snapshots.")


@pytest.mark.parametrize("version", [0, -1])
def test_version_that_no_event_has_is_wrong(counters: Any, version: int) -> None:
    Snapshot.objects.filter(aggregate_id="counter-a").update(version=version)
    printed, error = verify("--delete")
    assert f"counter-a at version {version}: its last event" in printed
    assert printed.endswith("Verified: 2 snapshots.\n")
    assert "They were deleted" in error
    assert verify() == ("Verified: 1 snapshot.\n", "")


def test_error_without_text_of_a_codec_is_named() -> None:
    class WithoutText(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Amount:
        is_broken = False

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Amount)

        __hash__ = None  # type: ignore[assignment]

    def code(value: Any) -> Any:
        if Amount.is_broken:
            raise WithoutText
        return 5 if isinstance(value, Amount) else Amount()

    register_codec(Amount, encode=code, decode=code, schema={"type": "integer"})

    class Added(DomainEvent):
        pass

    class Priced(Aggregate, category="priced"):
        price: Amount | None = None

        @applies(Added)
        def was_added(self, event: Added) -> None:
            self.price = Amount()

        @creates
        def add(self) -> None:
            self.record(Added())

    priced = Repository(Priced, snapshot_every=1)
    priced.handle("a", Priced.add)
    priced.handle("a", Priced.add)
    assert Snapshot.objects.count() == 1
    Amount.is_broken = True
    priced.handle("a", Priced.add)
    assert priced.get("a").version == 3
    assert "its state cannot be read, so it is not used: its __str__ raised RuntimeError" in verify()[0]


def test_events_that_cannot_be_read_are_named(counters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE events_event SET data = '{}' WHERE aggregate_id = 'counter-a' AND version = 1")
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER USER")
    printed, _ = verify()
    assert "counter-a at version 3: it cannot be compared: " in printed


def test_snapshots_of_other_code_are_counted_and_deleted_on_request(counters: Any) -> None:
    newer = define(sign=-1)
    newer.handle("a", newer.aggregate_class.add)
    printed, error = verify()
    assert printed.endswith(
        "Verified: 1 snapshot.\nNot verified: 2 snapshots of other code; --delete-outdated deletes such snapshots.\n"
    )
    assert not error
    assert "Deleted: 2 snapshots of other code.\n" in verify("--delete-outdated")[0]
    assert Snapshot.objects.count() == 1
