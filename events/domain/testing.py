"""Tests of aggregates without a database: given events, when a command runs, then these events follow.

Import the names from `events.testing`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from events.exceptions import EventStoreError

from . import aggregates, event_types
from .aggregates import Aggregate, check_exists, state_of, undeclared
from .differences import differences

A = TypeVar("A", bound=Aggregate)
Arguments = ParamSpec("Arguments")


class given(Generic[A]):  # noqa: N801  # the sentence reads given(…).when(…).then(…)
    """An aggregate after some events; `when` runs a command on it.

    given(Order, OrderPlaced(total=5)).when(Order.pay, "card").then(OrderPaid(method="card"))
    given(Order, OrderPaid(method="card")).when(Order.pay, "card").rejected(AlreadyPaid)

    Args:
        aggregate_class: the class of the aggregate.
        payloads: its events.
        id: its id without the category.

    Raises:
        InvalidEvent: a payload is not valid.
    """

    def __init__(self, aggregate_class: type[A], *payloads: object, id: str = "1") -> None:  # noqa: A002
        self.aggregate = aggregate_class.blank(f"{aggregate_class.category}-{id}")
        for version, payload in enumerate(payloads, 1):
            _apply(self.aggregate, payload)
            self.aggregate._work.version = version
        self.result: Any = None
        self._error: Exception | None = None
        self._recorded: list[Any] = []

    def when(
        self,
        command: Callable[Concatenate[A, Arguments], Any],
        /,
        *args: Arguments.args,
        **kwargs: Arguments.kwargs,
    ) -> Self:
        """Run a command. An error of the store, such as `Rejected`, is kept for `rejected`; `then` raises it.

        Raises:
            AssertionError: the command has changed the state outside a method with `@applies`, or has set an attribute
                that is not a field. Both would be lost at the next load.
        """
        self._raise_error()
        before = deepcopy(self.aggregate)
        recorded = len(self.aggregate.recorded)
        try:
            check_exists(self.aggregate, command)
            self.result = command(self.aggregate, *args, **kwargs)
        except EventStoreError as error:
            self._error = error
        self._recorded = self.aggregate.recorded[recorded:]
        for payload in self._recorded:
            _apply(before, payload)
        changed = [str(each) for each in differences(state_of(before), state_of(self.aggregate))]
        changed += [f"{name} is not a field" for name in undeclared(self.aggregate)]
        assert not changed, (  # noqa: S101
            "the state has changed outside a method with @applies, which the next load would lose: "
            + "; ".join(changed)
        )
        return self

    def then(self, *payloads: object) -> Self:
        """Check the events that the last command has recorded: exactly these, in this order."""
        self._raise_error()
        expected = [_as_stored(payload) for payload in payloads]
        assert self._recorded == expected, f"recorded {self._recorded}, expected {expected}"  # noqa: S101
        return self

    def rejected(self, error: type[Exception], *, match: str = "") -> Self:
        """Check that the last command has raised an error of a class, and that its text has `match` in it."""
        if self._error is None:
            raise AssertionError(f"{error.__name__} was expected, but the command recorded {self._recorded}")
        if not isinstance(self._error, error) or match not in str(self._error):
            raise AssertionError(
                f"{error.__name__} with {match!r} was expected, and {self._error!r} was raised"
            ) from self._error
        self._error = None
        return self

    def state(self, **fields: Any) -> Self:
        """Check the values of some fields of the state."""
        self._raise_error()
        found = {name: getattr(self.aggregate, name) for name in fields}
        assert found == fields, f"the state has {found}, expected {fields}"  # noqa: S101
        return self

    def returned(self, result: Any) -> Self:
        """Check what the last command has returned."""
        self._raise_error()
        assert self.result == result, f"the command returned {self.result!r}, expected {result!r}"  # noqa: S101
        return self

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


@contextmanager
def isolated_registry(*, empty: bool = False) -> Iterator[None]:
    """Forget, at the end of the `with` block, the event types and aggregates that are defined in it.

    Args:
        empty: begin without those that the project has defined; they come back at the end.
    """
    registries: tuple[dict[Any, Any], ...] = (*event_types.REGISTRIES, *aggregates.REGISTRIES)
    before = [dict(each) for each in registries]
    if empty:
        for registry in registries:
            registry.clear()
    try:
        yield
    finally:
        for registry, content in zip(registries, before, strict=True):
            registry.clear()
            registry.update(content)


def _apply(aggregate: Aggregate, payload: object) -> None:
    aggregate.apply(aggregates.type_of(payload).name, _as_stored(payload))


def _as_stored(payload: object) -> Any:
    return aggregates.as_stored(aggregates.type_of(payload), payload)
