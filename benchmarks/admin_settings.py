"""The demo's settings, with permissions for a frequent category and two old ones."""

from eventstore_project.settings import *  # noqa: F403
from eventstore_project.settings import ALLOWED_HOSTS

ALLOWED_HOSTS = [*ALLOWED_HOSTS, "testserver"]
EVENTS_CATEGORY_PERMISSIONS = ["order", "archive", "legacy"]
