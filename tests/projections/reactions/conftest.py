"""Fixtures of the tests of reactions."""

from collections.abc import Iterator

import pytest

from tests.projections.reactions.support import Answers, Counts, Sends, Target, registered, target


@pytest.fixture(autouse=True)
def fresh_target() -> Iterator[Target]:
    target.__init__()  # type: ignore[misc]
    yield target


@pytest.fixture
def reactions() -> Iterator[None]:
    with registered(Answers, Counts, Sends):
        yield
