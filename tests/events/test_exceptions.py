"""Errors carry their facts as attributes, and say them in their message."""

from typing import Any
from uuid import uuid4

import pytest

from events import exceptions
from events.exceptions import (
    BrokenSeal,
    Conflict,
    DuplicateEvent,
    EventStoreError,
    InvalidEvent,
    Rejected,
    StandbyBehind,
    VersionConflict,
)


def test_every_error_has_the_base_class() -> None:
    found = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert len(found) > 5
    assert all(issubclass(each, EventStoreError) for each in found)


@pytest.mark.parametrize(("index", "message"), [(None, "type: is empty"), (3, "event 3: type: is empty")])
def test_invalid_event_names_field_and_index(index: int | None, message: str) -> None:
    error = InvalidEvent("type", "is empty", index)
    assert (error.field, error.reason, error.index, str(error)) == ("type", "is empty", index, message)


def test_path_to_a_field_is_short() -> None:
    error = InvalidEvent("data." + 1000 * "k", "contains a NUL character")
    assert error.field == "data." + 250 * "k" + "…"
    assert str(error) == f"{error.field}: contains a NUL character"


def test_half_of_a_surrogate_pair_can_be_printed() -> None:
    assert str(InvalidEvent("data.\ud800", "has \udfff")).encode() == rb"data.\ud800: has \udfff"


def test_conflict_names_all_and_the_first() -> None:
    error = VersionConflict([Conflict("a-1", 3, 5), Conflict("b-1", 1, 0)])
    assert (error.aggregate_id, error.expected, error.actual) == ("a-1", 3, 5)
    assert str(error) == (
        "'a-1' was expected at version 3 but is at version 5; 'b-1' was expected at version 1 but is absent"
    )


def test_facts_are_attributes() -> None:
    event_id = uuid4()
    duplicate = DuplicateEvent(event_id, "a-1", "in use")
    assert (duplicate.event_id, duplicate.aggregate_id, str(duplicate)) == (event_id, "a-1", "in use")
    assert BrokenSeal(7, "changed").position == 7
    behind = StandbyBehind("standby", 1.25)
    assert behind.standby == "standby"
    assert "EVENTS_STANDBY_WAIT_SECONDS" in str(behind)


def test_rejected_has_a_reason_for_people_and_for_programs() -> None:
    class OutOfStock(Rejected):
        status = 422

    error = OutOfStock("none left", code="out-of-stock", data={"left": 0})
    assert (str(error), error.code, error.data, error.status) == ("none left", "out-of-stock", {"left": 0}, 422)
    assert (str(Rejected()), Rejected.status) == ("the event was rejected", 409)


@pytest.mark.parametrize("status", [200, 204, 304, 500, "409", None])
def test_rejection_has_the_status_of_an_error_of_the_client(status: Any) -> None:
    with pytest.raises(TypeError, match="must be from 400 to 499"):
        type("OutOfStock", (Rejected,), {"status": status})
