"""Errors of the projections carry their facts, and say what to do."""

from events.testing import make_event
from projections import exceptions
from projections.exceptions import HandlerFailed, NotCaughtUp, ProjectionError, UnknownProjection, WaitsForItself


def test_every_error_has_the_base_class() -> None:
    found = [each for each in vars(exceptions).values() if isinstance(each, type) and issubclass(each, Exception)]
    assert len(found) > 5
    assert all(issubclass(each, ProjectionError) for each in found)


def test_unknown_projection_lists_those_that_exist() -> None:
    assert str(UnknownProjection("x", ["b", "a"])) == "There is no projection 'x'; registered projections: a, b"
    assert "register them in an app's projections.py" in str(UnknownProjection("x", []))


def test_failed_handler_names_the_event() -> None:
    event = make_event("a-1", position=7, version=2)
    error = HandlerFailed(event)
    assert error.event is event
    assert str(error) == "the handler failed on a-1 2: Happened (position 7)"


def test_wait_that_times_out_names_lag_and_status() -> None:
    error = NotCaughtUp("tally", 5000, 10, 1234, "paused")
    assert (error.projection, error.position, error.reached, error.lag_events) == ("tally", 5000, 10, 1234)
    assert str(error) == "Projection 'tally' is at position 10, 1,234 events before 5000; its status is paused"


def test_wait_in_vain_names_the_way_out() -> None:
    error = WaitsForItself("tally", 5000, 10, 1234, "running")
    assert str(error).startswith(
        "Projection 'tally' is at position 10, 1,234 events before 5000; its status is running."
    )
    assert "eager_events of events.testing" in str(error)
