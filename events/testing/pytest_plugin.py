"""The fixture `eager_events` for pytest, without a line in a `conftest.py`.

pytest loads this module at its start, also in projects that do not use Django. So it imports nothing else.
"""

from collections.abc import Iterator

import pytest


@pytest.fixture
def eager_events(db: None) -> Iterator[None]:
    """Let on-commit handlers and projections handle each event before `dispatch` returns; it needs pytest-django."""
    from .eager import eager_events

    with eager_events():
        yield
