"""The seam for event types: what the store asks of them, without the toolkit that usually registers them."""

from collections.abc import Iterator
from typing import Any

import pytest

from events import decoding
from events.exceptions import InvalidEvent, NewerEvent, UnreadableEvent
from events.testing import isolated_registry


class Renamed:
    """An event type as other code could register one: version 2 has the amount in cents."""

    name, names, version = "Paid", ("Paid", "Settled"), 2

    def to_data(self, payload: Any) -> dict[str, Any]:
        return {"cents": int(payload["cents"])}

    def to_payload(self, data: dict[str, Any]) -> Any:
        if "cents" not in data:
            raise InvalidEvent("data.cents", "is missing")
        return data["cents"]

    def upcast(self, data: dict[str, Any], version: int) -> dict[str, Any]:
        return {"cents": data["amount"] * 100}


class Payload:
    pass


@pytest.fixture(autouse=True)
def paid() -> Iterator[Renamed]:
    with isolated_registry():
        event_type = Renamed()
        decoding.register(event_type, Payload)
        yield event_type
    assert "Paid" not in decoding.types
    assert decoding.type_of(Payload) is None


def row(**values: Any) -> dict[str, Any]:
    return {"position": 7, "event_id": None, "type": "Settled", "data": {"amount": 5}, "metadata": {}, **values}


def test_names_are_those_of_the_type() -> None:
    assert decoding.name_of(Payload) == decoding.name_of("Settled") == decoding.name_of("Paid") == "Paid"
    assert decoding.name_of("Other") == "Other"
    assert decoding.names_of("Settled") == ("Paid", "Settled")
    assert decoding.newest_names(Payload) == ["Paid"]
    assert decoding.newest_names(["Settled", "Other", Payload]) == ["Paid", "Other"]
    assert decoding.newest_names("Settled") == "Settled", "which is rejected where a list is expected"
    assert decoding.stored_names(["Other", "Paid"]) == ["Other", "Paid", "Settled"]
    with pytest.raises(InvalidEvent, match="the class int is not registered"):
        decoding.name_of(int)


def test_rows_are_brought_to_the_newest_form() -> None:
    (decoded,) = decoding.decode([row()])
    assert (decoded["type"], decoded["data"], decoded["metadata"]) == ("Paid", {"cents": 500}, {"$schema": 2})
    assert decoded["_stored"] == ("Settled", 1, {"amount": 5}, {})
    newest = row(type="Paid", data={"cents": 5}, metadata={"$schema": 2})
    assert next(decoding.decode([dict(newest)])) == newest
    assert next(decoding.decode([row(type="Other")])) == row(type="Other")


def test_row_that_cannot_be_decoded_has_the_error_and_no_data(paid: Renamed) -> None:
    for changed, error, reason in (
        ({"data": {}}, UnreadableEvent, "Settled in schema version 1: KeyError: 'amount'"),
        ({"metadata": {"$schema": 3}}, NewerEvent, "deploy the newer code first"),
        ({"metadata": {"$schema": "2"}}, UnreadableEvent, "must be a whole number from 1 up"),
        ({"metadata": {"$schema": True}}, UnreadableEvent, "must be a whole number from 1 up"),
        ({"metadata": {"$schema": 0}}, UnreadableEvent, "must be a whole number from 1 up"),
    ):
        (decoded,) = decoding.decode([row(**changed)])
        assert type(decoded["_error"]) is error
        assert reason in decoded["unreadable"]
        assert "data" not in decoded
        assert decoded["_error"].position == 7


def test_partial_rows_are_decoded_as_far_as_they_go() -> None:
    values = row()
    del values["metadata"]
    decoding.decode_partial(values)
    assert (values["type"], "data" in values) == ("Paid", False)
    without_type = row()
    del without_type["type"]
    decoding.decode_partial(without_type)
    assert without_type == {"position": 7, "event_id": None}


def test_texts_that_cannot_change_are_known_without_parsing() -> None:
    assert decoding.may_change("Settled", "{}")
    assert decoding.may_change("Paid", "{}")
    assert not decoding.may_change("Other", '{"$schema": 2}')


def test_new_data_is_stamped_and_data_as_stored_is_checked(paid: Renamed) -> None:
    assert decoding.encode(paid, {"cents": "5"}, {"a": 1}) == ({"cents": 5}, {"a": 1, "$schema": 2})
    decoding.check_stored_form(paid, {"amount": 5}, 1)
    decoding.check_stored_form(paid, {"cents": 5}, 2)
    for data, version, reason in (
        ({}, 1, "data: in schema version 1 cannot be read: KeyError"),
        ({}, 2, "data.cents: is missing"),
        ({"cents": 5}, 3, "deploy the newer code first"),
    ):
        with pytest.raises(InvalidEvent, match=reason):
            decoding.check_stored_form(paid, data, version)
    assert decoding.payload("Paid", {"cents": 5}) == 5
    assert decoding.payload("Other", {"cents": 5}) == {"cents": 5}
    assert decoding.normalized("Paid", {"cents": "5"}) == {"cents": 5}
