"""Fixtures of the tests of reactions."""

from collections.abc import Iterator

import pytest

from tests.projections.reactions.support import Answers, Counts, Sends, registered, target


@pytest.fixture(autouse=True)
def fresh_target() -> None:
    target.reset()


@pytest.fixture
def reactions() -> Iterator[None]:
    with registered(Answers, Counts, Sends):
        yield
