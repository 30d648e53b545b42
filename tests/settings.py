"""The demo's settings, with an app of read models and projections that only the tests use."""

from eventstore_project.settings import *  # noqa: F403
from eventstore_project.settings import INSTALLED_APPS

INSTALLED_APPS += ["tests.readmodels"]

PROJECTIONS_RETRY_DELAYS_SECONDS = (0.05, 0.1)
