"""The demo's settings, with the shop of the tests, whose events have no classes."""

from eventstore_project.settings import *  # noqa: F403
from eventstore_project.settings import INSTALLED_APPS

INSTALLED_APPS += ["tests.shop"]
