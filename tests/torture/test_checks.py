"""The checks bite: each is fed a store in which all is well, and the same one with a single thing wrong."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from events.store import EventStore
from projections import registry
from projections.workers.worker import Until, Worker
from tests.support import new
from tests.torture import checks
from tests.torture.checks import Stored
from tests.torture.journal import Answer, Call, End, Journal, Ledger, Sent, open_call
from tests.torture.readmodels import READ_MODELS


def sent(number: int, aggregate_id: str = "a-1") -> Sent:
    return Sent(f"id-{number}", aggregate_id, "Happened", {"n": number})


def stored(number: int, version: int, position: int, aggregate_id: str = "a-1") -> Stored:
    return Stored(position, aggregate_id, version, f"id-{number}", "Happened", {"n": number})


# A call of two events that was acknowledged, then repeated; one over two aggregates that nobody knows the end of.
CALLS = [
    Call([sent(1), sent(2)], end=End.ACKNOWLEDGED, answers=[[Answer(1, 5), Answer(2, 6)]] * 2),
    Call([sent(3), sent(4, "b-1")]),
    Call([sent(5)], end=End.REJECTED),
    Call([sent(6)], rolls_back=True),
]
STORED = [stored(1, 1, 5), stored(2, 2, 6), stored(3, 3, 8), stored(4, 1, 9, "b-1")]
AGGREGATES = {"a-1": 3, "b-1": 1}
SEEN = [(event.position, event.event_id) for event in STORED]


def wrong_with(
    found: list[Stored] = STORED, aggregates: dict[str, int] = AGGREGATES, seen: list[tuple[int, str]] = SEEN
) -> set[str]:
    """All checks together; of what they say, the first word."""
    findings: Iterable[str] = [
        *checks.lost(CALLS, found),
        *checks.doubled(found),
        *checks.half_written(CALLS, found),
        *checks.uninvited(CALLS, found),
        *checks.versions(found, aggregates),
        *checks.followed("somebody", seen, found),
    ]
    return {finding.partition(":")[0] for finding in findings}


def test_nothing_is_wrong_with_a_store_in_which_all_is_well() -> None:
    assert wrong_with() == set()
    without_the_open_call = STORED[:2]
    assert wrong_with(without_the_open_call, {"a-1": 2}, SEEN[:2]) == set()


@pytest.mark.parametrize(
    ("found", "aggregates", "seen", "finding"),
    [
        # An acknowledged call is gone as a whole, as after a commit that was not flushed: nothing else is wrong.
        ([], {}, [], {"lost"}),
        ([stored(1, 1, 5)], {"a-1": 1}, SEEN[:1], {"lost", "half written"}),
        # The open call, stored by half.
        (STORED[:3], {"a-1": 3}, SEEN[:3], {"half written"}),
        # A retry that stored once more.
        ([*STORED, stored(4, 2, 10, "b-1")], {"a-1": 3, "b-1": 2}, [*SEEN, (10, "id-4")], {"doubled"}),
        # A position that was taken twice.
        ([*STORED[:3], stored(4, 1, 8, "b-1")], AGGREGATES, [*SEEN[:3], (8, "id-4")], {"doubled"}),
        # Stored though rejected, rolled back, unknown.
        ([*STORED, stored(5, 4, 11)], {"a-1": 4, "b-1": 1}, [*SEEN, (11, "id-5")], {"uninvited"}),
        ([*STORED, stored(6, 4, 11)], {"a-1": 4, "b-1": 1}, [*SEEN, (11, "id-6")], {"uninvited"}),
        ([*STORED, stored(9, 4, 11)], {"a-1": 4, "b-1": 1}, [*SEEN, (11, "id-9")], {"uninvited"}),
        # Other content; another place than answered.
        ([*STORED[:3], STORED[3]._replace(data={})], AGGREGATES, SEEN, {"changed"}),
        ([STORED[0], stored(2, 2, 7), *STORED[2:]], AGGREGATES, [SEEN[0], (7, "id-2"), *SEEN[2:]], {"moved"}),
        # A version left out, one twice; a row ahead of its events; one of an aggregate without any, and none.
        ([*STORED[:2], stored(3, 4, 8), STORED[3]], {"a-1": 4, "b-1": 1}, SEEN, {"version gap"}),
        ([*STORED[:2], stored(3, 2, 8), STORED[3]], {"a-1": 2, "b-1": 1}, SEEN, {"version gap"}),
        (STORED, {"a-1": 4, "b-1": 1}, SEEN, {"version"}),
        (STORED, {**AGGREGATES, "c-1": 1}, SEEN, {"version"}),
        (STORED, {"a-1": 3}, SEEN, {"version"}),
        # Positions that fall while versions rise.
        ([*STORED[:2], stored(3, 3, 4), STORED[3]], AGGREGATES, [(4, "id-3"), *SEEN[:2], SEEN[3]], {"order"}),
        # Followers that missed one, had one twice, had them out of order, had what is not there.
        (STORED, AGGREGATES, [*SEEN[:2], SEEN[3]], {"missed"}),
        (STORED, AGGREGATES, [*SEEN[:2], *SEEN[1:]], {"repeated"}),
        (STORED, AGGREGATES, [SEEN[0], SEEN[2], SEEN[1], SEEN[3]], {"order"}),
        (STORED, AGGREGATES, [*SEEN[:2], (7, "id-7"), *SEEN[2:]], {"phantom"}),
    ],
)
def test_each_wrong_thing_is_found(found: Any, aggregates: Any, seen: Any, finding: set[str]) -> None:
    assert wrong_with(found, aggregates, seen) == finding


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (
            "aggregate_activity",
            "UPDATE projections_aggregateactivity SET event_count = 3",
        ),
        ("event_type_activity", "UPDATE projections_eventtypeactivity SET last_position = last_position - 1"),
        ("daily_activity", "UPDATE projections_dailyactivity SET event_count = event_count + 1"),
        ("shop_orders", "DELETE FROM shop_order WHERE order_id = 'order-2'"),
        ("shop_sales", "INSERT INTO shop_productsales VALUES ('NO-1', 1, 1)"),
    ],
)
def test_a_wrong_row_of_a_read_model_is_found(store: EventStore, name: str, spoil: str) -> None:
    for number in (1, 2):
        lines = [{"sku": "MUG-1", "quantity": number, "price": 12.5}, {"sku": "PEN-2", "quantity": 3, "price": 3.2}]
        placed = {"customer": "Ü", "lines": lines, "total": 12.5 * number}
        store.dispatch(new(f"order-{number}", "OrderPlaced", data=placed), new(f"order-{number}", "OrderPaid"))
    Worker(registry.named(sorted(READ_MODELS)), until=Until.CAUGHT_UP).run()
    assert wrong_rows() == set()
    with connection.cursor() as cursor:
        cursor.execute(spoil)
    assert wrong_rows() == {name}


def wrong_rows() -> set[str]:
    return {name for name, (have, want) in READ_MODELS.items() if [*checks.same_rows(name, rows(have), rows(want))]}


def rows(query: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_a_ledger_reads_journals_on_as_they_grow(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    answers = [Answer(1, 5), Answer(2, 6)]
    with closing(Journal(tmp_path / "writer-1.jsonl")) as journal:
        journal.begin(CALLS[0])
        assert [call.end for call in ledger.read_on().calls.values()] == [End.OPEN]
        journal.end(CALLS[0], End.ACKNOWLEDGED, answers)
        journal.begin(CALLS[2])
        journal.end(CALLS[2], End.REJECTED)
        journal.begin(CALLS[3])
        journal.end(CALLS[3], End.ROLLED_BACK)
    with closing(Journal(tmp_path / "writer-2.jsonl")) as again:
        again.begin(CALLS[0])
        again.end(CALLS[0], End.ACKNOWLEDGED, answers)
    calls = ledger.read_on().calls
    assert calls["id-1"] == CALLS[0]
    assert [call.end for call in calls.values()] == [End.ACKNOWLEDGED, End.REJECTED, End.ROLLED_BACK]
    assert (ledger.acknowledged, ledger.acknowledged_events()) == (2, 2)


def test_what_a_killed_writer_was_at_is_found_in_its_journal(tmp_path: Path) -> None:
    path = tmp_path / "writer-1.jsonl"
    with closing(Journal(path)) as journal:
        journal.begin(CALLS[0])
        assert open_call(path) == Call(CALLS[0].events)
        journal.end(CALLS[0], End.ACKNOWLEDGED, [Answer(1, 5), Answer(2, 6)])
        assert open_call(path) is None
    with path.open("a") as file:
        file.write(json.dumps({"begin": [sent(7)]})[:-5])
    assert open_call(path) is None, "a line that is not whole was never acted upon"
    assert list(Ledger(tmp_path).read_on().calls) == ["id-1"]
