"""System checks speak up before anything goes wrong."""

import re
from typing import Any

import pytest
from django.core.checks import run_checks
from django.db import connection

from events.checks import (
    check_category_permissions,
    check_cloudevents_source,
    check_database,
    check_limits,
    check_rights,
    check_source_is_own,
    check_throttle_rates,
    check_throttled,
    check_time_zones,
)
from events.conf import EventsSettings, conf
from tests import ROOT

SETTINGS_PAGE = ROOT / "docs/settings.md"


def test_every_documented_limit_is_checked() -> None:
    documented = re.findall(r"^\| `(EVENTS_\w+)`", SETTINGS_PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert documented == [conf.setting(name) for name in EventsSettings.__annotations__]
    assert {*conf.settings_of(int), *conf.settings_of(float)} < {*documented}


def test_sound_settings_pass(settings: Any) -> None:
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", "cart of a shop"]
    settings.EVENTS_API_THROTTLE_RATES = {"read": "10/min", "append": "1/s"}
    settings.EVENTS_STREAM_HEARTBEAT_SECONDS = 0.5
    settings.EVENTS_CLOUDEVENTS_SOURCE = "urn:shops:7"
    assert check_category_permissions() == check_throttle_rates() == check_cloudevents_source() == []
    assert check_limits() == check_time_zones() == check_database(databases=["default"]) == []


@pytest.mark.parametrize("source", ["", "a shop"])
def test_source_that_no_cloudevent_may_have_is_an_error(settings: Any, source: Any) -> None:
    settings.EVENTS_CLOUDEVENTS_SOURCE = source
    assert [error.id for error in check_cloudevents_source()] == ["events.E006"]


@pytest.mark.parametrize("value", [0, -1, "10", 1.5, None, True])
def test_limit_that_is_no_number_is_an_error(settings: Any, value: Any) -> None:
    settings.EVENTS_API_PAGE_EVENTS = value
    (error,) = check_limits()
    assert error.id == "events.E002"
    assert "EVENTS_API_PAGE_EVENTS" in error.msg


@pytest.mark.parametrize("value", [0, -1, "10", None, True, float("inf"), float("nan")])
def test_duration_that_is_none_is_an_error(settings: Any, value: Any) -> None:
    settings.EVENTS_STREAM_HEARTBEAT_SECONDS = value
    assert [error.id for error in check_limits()] == ["events.E002"]


@pytest.mark.parametrize("category", ["order-1", "", "x" * 81, 5])
def test_permission_for_an_invalid_category_is_an_error(settings: Any, category: Any) -> None:
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", category]
    assert [error.id for error in check_category_permissions()] == ["events.E004"]


@pytest.mark.parametrize("rates", [{"read": "often"}, {"reading": "1/min"}, {"read": 5}, {"append": "1/month"}])
def test_rate_that_is_none_is_an_error(settings: Any, rates: Any) -> None:
    settings.EVENTS_API_THROTTLE_RATES = rates
    assert [error.id for error in check_throttle_rates()] == ["events.E005"]


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
