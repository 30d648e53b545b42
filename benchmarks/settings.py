"""The demo's settings, without its projections."""

from eventstore_project.settings import *  # noqa: F403
from eventstore_project.settings import INSTALLED_APPS

INSTALLED_APPS = [*(app for app in INSTALLED_APPS if app != "eventstore_project"), "benchmarks.apps.BenchmarksConfig"]
PROJECTIONS_AGGREGATE_ACTIVITY = PROJECTIONS_EVENT_TYPE_ACTIVITY = PROJECTIONS_DAILY_ACTIVITY = False
PROJECTIONS_SEALS = False
ROOT_URLCONF = "benchmarks.urls"
