"""System checks speak up before anything goes wrong."""

import re
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection

from events.checks import (
    check_categories_exist,
    check_database,
    check_rights,
    check_settings,
    check_source_is_own,
    check_throttled,
    check_time_zones,
)
from events.conf import AppSettings, EventsSettings
from events.store import EventStore
from projections.checks import check_settings as check_projections_settings
from projections.conf import ProjectionsSettings
from tests import ROOT
from tests.support import new

SETTINGS_PAGE = ROOT / "docs/settings.md"


@pytest.mark.parametrize("app_settings", [EventsSettings, ProjectionsSettings])
def test_every_setting_is_documented(app_settings: type[AppSettings]) -> None:
    pattern = rf"^\| `({app_settings._prefix}\w+)`"
    documented = re.findall(pattern, SETTINGS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert documented == [app_settings.setting(name) for name in app_settings.__annotations__]


def test_sound_settings_pass(settings: Any) -> None:
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", "cart of a shop"]
    settings.EVENTS_API_THROTTLE_RATES = {"read": "10/min", "append": "1/s"}
    settings.EVENTS_STREAM_HEARTBEAT_SECONDS = 0.5
    settings.EVENTS_CLOUDEVENTS_SOURCE = "urn:shops:7"
    settings.EVENTS_MAX_EVENT_BYTES_OF_OTHERS = None
    settings.SHOP_EVENTS_API_THROTTLE_RATES = settings.MYEVENTS_API_THROTTLE_RATES = None  # other apps'
    assert check_settings() == check_projections_settings() == []
    assert check_time_zones() == check_database(databases=["default"]) == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("EVENT_MAX_EVENT_BYTES", "EVENTS_MAX_EVENT_BYTES"),
        ("EVNETS_API_THROTTLE_RATES", "EVENTS_API_THROTTLE_RATES"),
        ("EVENTS_READ_PAGE", "EVENTS_READ_PAGE_EVENTS"),
        ("EVENTS_STREAM_HEARTBEAT", "EVENTS_STREAM_HEARTBEAT_SECONDS"),
    ],
)
def test_misspelt_setting_is_a_warning(settings: Any, name: str, meant: str) -> None:
    setattr(settings, name, 5)
    (warning,) = check_settings()
    assert (warning.id, warning.hint) == ("events.W011", f"Did you mean {meant}?")
    assert name in warning.msg


@pytest.mark.django_db
def test_deployment_is_warned_of_permissions_for_a_category_without_events(settings: Any) -> None:
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", "oder"]
    assert check_categories_exist(databases=["default"]) == []
    EventStore().dispatch(new("order-1"))
    (warning,) = check_categories_exist(databases=["default"])
    assert (warning.id, "'oder'" in warning.msg) == ("events.W012", True)
    assert check_categories_exist(databases=None) == check_categories_exist(databases=["other"]) == []
    settings.EVENTS_CATEGORY_PERMISSIONS = "order"
    assert check_categories_exist(databases=["default"]) == check_throttled() == []


def test_missing_time_zones_are_an_error(settings: Any) -> None:
    settings.USE_TZ = False
    assert [error.id for error in check_time_zones()] == ["events.E003"]


def test_another_database_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import connection

    monkeypatch.setattr(connection, "vendor", "sqlite")
    assert [error.id for error in check_database(databases=["default"])] == ["events.E001"]
    assert check_database(databases=[]) == check_database() == []


def test_deployment_is_warned_of_requests_without_limit(settings: Any) -> None:
    assert [warning.id for warning in check_throttled()] == ["events.W008"]
    settings.EVENTS_API_THROTTLE_RATES = {"append": "1/s", "import": "1/s", "export": "1/s"}
    assert check_throttled() == []


def test_deployment_is_warned_of_a_source_that_is_everybodys(settings: Any) -> None:
    assert [warning.id for warning in check_source_is_own()] == ["events.W009"]
    settings.EVENTS_CLOUDEVENTS_SOURCE = "https://shop.example/events"
    assert check_source_is_own() == []


@pytest.mark.django_db
def test_deployment_is_warned_of_a_role_that_may_write_the_tables() -> None:
    (warning,) = check_rights(databases=["default"])
    assert (warning.id, connection.settings_dict["USER"] in warning.msg) == ("events.W010", True)
    assert check_rights(databases=None) == check_rights(databases=["other"]) == []
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE events_check_of_rights; SET ROLE events_check_of_rights")
        assert check_rights(databases=["default"]) == []
        cursor.execute("RESET ROLE")


@pytest.mark.django_db
def test_deployment_checks_stay_out_of_other_checks() -> None:
    ids = {message.id for message in run_checks(databases=["default"])}
    assert not ids & {"events.W008", "events.W009", "events.W010"}
