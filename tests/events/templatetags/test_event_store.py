"""The template tags and filters of the admin."""

import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.utils import timezone

from events.templatetags.event_store import moment, time_of_day
from projections.engine.registration import register_all
from tests.support import MANAGE

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("", "admin/events/index.html"),
        ("settings.EVENTS_ADMIN_DASHBOARD = False", "None"),
        ("from django.contrib import admin; admin.AdminSite.index_template = 'mine.html'", "mine.html"),
    ],
)
def test_setting_leaves_the_dashboard_out_and_another_index_stays(before: str, expected: str) -> None:
    code = f"""
from eventstore_project import settings
{before}
import django
django.setup()
from django.contrib import admin
print(admin.site.index_template)
"""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "eventstore_project.settings"}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=MANAGE.parent, env=environment, check=True, capture_output=True, text=True
    )
    assert said.stdout.strip() == expected


@pytest.mark.parametrize(
    ("zone", "text"), [("UTC", "12:00:05 UTC"), ("Europe/Berlin", "13:00:05 CET"), ("Asia/Riyadh", "15:00:05 +03")]
)
def test_times_name_their_zone(zone: str, text: str) -> None:
    with timezone.override(zone):
        at = datetime(2026, 1, 2, 12, 0, 5, tzinfo=UTC)
        assert f">2026-01-02 {text}</time>" in moment(at)
        assert f">{text}</time>" in time_of_day(at)
    assert "outside the years 1 to 9999" in moment(None)


@pytest.mark.parametrize("path", ["/admin/", "/admin/projections/projectionstate/"])
def test_refresh_leaves_messages_to_the_page_that_is_opened(client_of: Callable[..., Client], path: str) -> None:
    register_all()
    client = client_of("projections.view_projectionstate", "projections.operate_projections")
    client.post("/admin/projections/projectionstate/", {"action": "pause", "_selected_action": "tally"})
    client.get(path, headers={"X-Event-Refresh": "1"})
    assert "tally is paused." in client.get(path).content.decode()
    assert "tally is paused." not in client.get(path).content.decode()
