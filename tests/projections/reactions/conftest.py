"""Fixtures of the tests of reactions."""

from collections.abc import Iterator

import pytest

from tests.projections.reactions.support import Answers, Counts, Sends, registered, target


@pytest.fixture(autouse=True)
def fresh_target() -> Iterator[None]:
    target.reset()
    yield
    target.reset()  # other tests use it, too


@pytest.fixture
def reactions() -> Iterator[None]:
    with registered(Answers, Counts, Sends):
        yield
