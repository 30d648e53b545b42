from collections.abc import Iterator
from pathlib import Path

import pytest
from django.apps import apps

from events.testing import isolated_registry


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Each test defines event types and aggregates of its own; the demo has none, and no lock file either."""
    monkeypatch.setattr(apps.get_app_config("eventstore_project"), "path", str(tmp_path / "demo"))
    with isolated_registry(empty=True):
        yield
