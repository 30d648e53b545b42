from collections.abc import Iterator

import pytest

from events.testing import isolated_registry


@pytest.fixture(autouse=True)
def registry() -> Iterator[None]:
    """Each test defines event types and aggregates of its own, and the demo has none."""
    with isolated_registry(empty=True):
        yield
