from collections.abc import Iterator

import pytest

from events.domain.event_types import isolated


@pytest.fixture(autouse=True)
def isolated_event_types() -> Iterator[None]:
    """Each test defines event types of its own."""
    with isolated():
        yield
