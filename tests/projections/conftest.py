"""Fixtures of the engine's tests."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from projections import registry
from projections.base import INLINE
from projections.engine import inline
from projections.models import Heartbeat, ProjectionState
from tests.projections.support import instance
from tests.readmodels.projections import Fragile


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Mends the code of the projection, when it is called."""
    return lambda: monkeypatch.setattr(Fragile, "check", lambda self, event: None)


@pytest.fixture
def running_worker(transactional_db: None) -> None:
    """A worker of another machine is alive, as far as its row says."""
    names = [*(each.name for each in registry.all_projections()), "sends"]
    now = timezone.now() + timedelta(hours=1)  # however long the test takes
    Heartbeat.objects.create(id=uuid4(), host="elsewhere", pid=1, started_at=now, seen_at=now, projections=names)


@pytest.fixture
def inline_fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "mode", INLINE)
    ProjectionState.objects.filter(name="fragile").delete()
    inline.subscribe(instance(Fragile))
