"""Settings: defaults, the project's values, and changes while tests run."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from events.conf import AppSettings, EventsSettings, conf
from events.setting_kinds import Number


def test_missing_setting_has_its_default() -> None:
    assert conf.read_page_events == 1000
    assert conf.category_permissions == ()


def test_setting_is_read_when_it_is_used(settings: Any) -> None:
    assert conf.max_dispatch_events == 10_000
    settings.EVENTS_MAX_DISPATCH_EVENTS = 7
    assert conf.max_dispatch_events == 7
    with override_settings(EVENTS_MAX_DISPATCH_EVENTS=8):
        assert conf.max_dispatch_events == 8
    assert conf.max_dispatch_events == 7


def test_value_has_the_type_of_the_default(settings: Any) -> None:
    settings.EVENTS_STANDBY_WAIT_SECONDS = 2
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order"]
    assert isinstance(conf.standby_wait_seconds, float)
    assert conf.category_permissions == ("order",)


def test_names_carry_the_prefix() -> None:
    assert EventsSettings.setting("max_event_bytes") == "EVENTS_MAX_EVENT_BYTES"


def test_wrong_value_is_not_read_as_another_one(settings: Any) -> None:
    """Also in a process that does not run the checks."""
    settings.EVENTS_CATEGORY_PERMISSIONS = "order"
    with pytest.raises(ImproperlyConfigured, match=r"EVENTS_CATEGORY_PERMISSIONS is 'order'\. Give a list"):
        _ = conf.category_permissions
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order"]
    assert conf.category_permissions == ("order",)


def test_setting_without_a_kind_is_an_error() -> None:
    with pytest.raises(AttributeError, match="__metadata__"):

        class Ours(AppSettings, prefix="OURS_"):
            max_events: int = 3


def test_attribute_that_is_no_setting_is_an_error() -> None:
    with pytest.raises(AttributeError):
        _ = conf.no_such_setting  # type: ignore[attr-defined]


def test_apps_do_not_share_values(settings: Any) -> None:
    class Ours(AppSettings, prefix="OURS_"):
        max_event_bytes: Number = 3

    settings.OURS_MAX_EVENT_BYTES = 4
    assert (Ours().max_event_bytes, conf.max_event_bytes) == (4, 1024 * 1024)


def test_wrong_value_does_not_end_the_start(settings: Any, caplog: pytest.LogCaptureFixture) -> None:
    settings.EVENTS_ADMIN_DASHBOARD = "False"
    assert conf.at_start("admin_dashboard") is True
    assert "EVENTS_ADMIN_DASHBOARD is 'False'. Give True or False" in caplog.text
