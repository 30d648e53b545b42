"""The project's database routers say where the store is."""

from typing import Any

import pytest

from events.models import Event
from events.routing import database


class Router:
    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "primary" if model is Event else None


def test_store_is_in_the_default_database() -> None:
    assert database() == "default"


def test_router_moves_the_store(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("django.db.router._routers", None, raising=False)
    settings.DATABASE_ROUTERS = [Router()]
    assert database() == "primary"
