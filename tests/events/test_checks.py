"""System checks speak up before anything goes wrong."""

import re
from pathlib import Path
from typing import Any

import pytest

from events.checks import LIMITS, check_database, check_limits, check_time_zones

SETTINGS_PAGE = Path(__file__).parents[2] / "docs/settings.md"


def test_every_documented_limit_is_checked() -> None:
    documented = re.findall(r"^\| `(EVENTS_\w+)`", SETTINGS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert documented == LIMITS


def test_sound_settings_pass() -> None:
    assert check_limits() == check_time_zones() == check_database(databases=["default"]) == []


@pytest.mark.parametrize("value", [0, -1, "10", 1.5, None, True])
def test_limit_that_is_no_number_is_an_error(settings: Any, value: Any) -> None:
    settings.EVENTS_API_PAGE_EVENTS = value
    (error,) = check_limits()
    assert error.id == "events.E002"
    assert "EVENTS_API_PAGE_EVENTS" in error.msg


def test_missing_time_zones_are_an_error(settings: Any) -> None:
    settings.USE_TZ = False
    assert [error.id for error in check_time_zones()] == ["events.E003"]


def test_another_database_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    monkeypatch.setattr(connection, "vendor", "sqlite")
    assert [error.id for error in check_database(databases=["default"])] == ["events.E001"]
    assert check_database(databases=[]) == check_database() == []
