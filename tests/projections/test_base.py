"""A projection: which events it wants, and which of its methods get them."""

from collections.abc import Sequence
from typing import Any

import pytest

from events.models import Event
from events.testing import make_event
from events.types import ALL
from projections.base import Projection, handles
from projections.exceptions import HandlerFailed


class Base(Projection):
    name = "base"

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, str]] = []

    @handles("A", "B")
    def first(self, event: Event) -> None:
        self.calls.append(("first", event.type))

    @handles("A")
    @handles("C")
    def second(self, event: Event) -> None:
        self.calls.append(("second", event.type))


class Derived(Base):
    @handles(ALL)
    def every(self, event: Event) -> None:
        self.calls.append(("every", event.type))

    def first(self, event: Event) -> None:
        """Overridden without a mark: it handles nothing any more."""


def test_each_handler_gets_its_types_in_the_order_of_definition() -> None:
    projection = Base()
    assert projection.wanted_types() == ["A", "B", "C"]
    projection.project_batch([make_event(type=each) for each in ("A", "B", "C", "D")])
    assert projection.calls == [("first", "A"), ("second", "A"), ("first", "B"), ("second", "C")]


def test_handler_of_all_comes_first_and_widens_what_is_wanted() -> None:
    projection = Derived()
    assert projection.wanted_types() is None
    projection.project_batch([make_event(type="A"), make_event(type="D")])
    assert projection.calls == [("every", "A"), ("second", "A"), ("every", "D")]


def test_error_of_a_handler_names_the_event_and_is_the_cause() -> None:
    class Failing(Projection):
        name = "failing"

        @handles("A")
        def fail(self, event: Event) -> None:
            raise LookupError("why")

    event = make_event(type="A")
    with pytest.raises(HandlerFailed) as caught:
        Failing().project_batch([event])
    assert caught.value.event is event
    assert isinstance(caught.value.__cause__, LookupError)


@pytest.mark.parametrize(("types", "wanted"), [(None, None), ({"B", "A"}, ["A", "B"]), ((), [])])
def test_projection_of_sets_wants_the_types_that_it_names(types: Any, wanted: Any) -> None:
    class OfSets(Projection):
        name = "of_sets"

        def project_batch(self, events: Sequence[Event]) -> None:
            pass

    OfSets.types = types
    assert OfSets.works_on_sets()
    assert not Base.works_on_sets()
    assert OfSets().wanted_types() == wanted
