"""Fixtures of the rebuilds' tests."""

import pytest

from projections.base import INLINE
from projections.engine import inline
from projections.models import ProjectionState
from tests.projections.support import instance
from tests.readmodels.projections import Cases


@pytest.fixture
def inline_cases(monkeypatch: pytest.MonkeyPatch) -> None:
    """The projection of the cases, run by the writers of this process."""
    monkeypatch.setattr(Cases, "mode", INLINE)
    ProjectionState.objects.filter(name="cases").delete()
    inline.subscribe(instance(Cases))
