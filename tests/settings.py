"""The demo's settings, with apps of read models and projections that only the tests use."""

from eventstore_project.settings import *  # noqa: F403
from eventstore_project.settings import DATABASES, INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += ["tests.readmodels", "tests.shop"]

# The middleware of the demo adds metadata to each event of a request. Tests of that add it.
MIDDLEWARE.remove("events.middleware.EventContextMiddleware")

# Aliases that single tests connect to servers of their own.
for alias in ("primary", "standby"):
    DATABASES[alias] = {**DATABASES["default"], "TEST": {"MIRROR": "default"}}

# The hasher that protects passwords takes a third of a second of CPU for each user that a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

PROJECTIONS_RETRY_DELAYS_SECONDS = (0.05, 0.1)
