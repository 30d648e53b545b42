"""Fixtures of the engine's tests."""

from collections.abc import Callable

import pytest

from projections.base import INLINE
from projections.engine import inline
from projections.models import ProjectionState
from tests.projections.support import instance
from tests.readmodels.projections import Fragile


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Mends the code of the projection, when it is called."""
    return lambda: monkeypatch.setattr(Fragile, "check", lambda self, event: None)


@pytest.fixture
def inline_fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "mode", INLINE)
    ProjectionState.objects.filter(name="fragile").delete()
    inline.subscribe(instance(Fragile))
