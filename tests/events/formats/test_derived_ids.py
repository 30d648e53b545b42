"""The ids of lines without one: the same in each run, and different for each occurrence of a content."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from events.formats.derived_ids import DerivedIds
from events.validation import ValidatedEvent, validate_events
from tests.support import new


def row(n: int, **fields: Any) -> ValidatedEvent:
    (valid,) = validate_events([new(data={"n": n}, **fields)])
    return valid


def derived(*batches: list[ValidatedEvent], secret: bytes = b"") -> list[UUID]:
    with DerivedIds(secret) as ids:
        return [event_id for batch in batches for event_id in ids.derive(batch)]


def test_ids_do_not_depend_on_the_batches() -> None:
    rows = [row(n % 40) for n in range(100)] + [row(7)] * 3
    together = derived(rows)
    assert len(set(together)) == len(rows)
    assert {each.version for each in together} == {8}
    for size in (1, 3, 41, 99):
        assert derived(*[rows[start : start + size] for start in range(0, len(rows), size)]) == together


def test_more_contents_than_a_query_looks_up_are_counted_right() -> None:
    rows = [row(n) for n in range(2500)]
    found = derived(rows, rows, rows)
    assert len(set(found)) == 7500
    assert found == derived(*[rows[start : start + 50] for start in range(0, 2500, 50)], rows, rows)


def test_every_field_of_the_content_counts_and_nothing_else() -> None:
    base = new(data={"a": 1, "b": 2}, metadata={"m": 1})
    fields = {"data": base.data, "metadata": base.metadata}
    same = [new(**fields), new(data={"b": 2, "a": 1}, metadata={"m": 1})]
    assert len({derived(validate_events([each]))[0] for each in same}) == 1
    others = [
        new("a-2", **fields),
        new(type="Other", **fields),
        new(**{**fields, "data": {"a": 1.0, "b": 2}}),
        new(**{**fields, "data": {"a": 2**70, "b": 2}}),
        new(**{**fields, "metadata": {}}),
        new(**fields, timestamp=datetime(2020, 1, 1, tzinfo=UTC)),
    ]
    assert len({derived(validate_events([each]))[0] for each in [same[0], *others]}) == 7


def test_ids_depend_on_the_secret() -> None:
    assert derived([row(1)]) != derived([row(1)], secret=b"secret")
