"""The template tag of the dashboard."""

import os
import subprocess
import sys

import pytest

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
