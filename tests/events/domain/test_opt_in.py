"""Projects without `events.domain` pay nothing for it."""

import sys

from tests.ownproject import run

SCRIPT = """
import sys
from importlib import import_module
from django.conf import settings

settings.configure(
    INSTALLED_APPS=["events", "projections", "rest_framework", "django_filters", "django.contrib.auth",
                    "django.contrib.contenttypes"],
    DATABASES={"default": {"ENGINE": "django.db.backends.postgresql", "NAME": "none"}},
    ROOT_URLCONF="events.api.urls",
    SECRET_KEY="x",
)
import django
django.setup()
for module in ("events.store", "events.api.urls", "projections.api.urls", "projections.workers.worker",
               "projections.testing", "events.testing.eager"):
    import_module(module)
from events import decoding
assert not decoding.types
print([name for name in sys.modules if name.partition(".")[0] in ("msgspec", "pydantic") or "events.domain" in name])
"""


def test_project_without_the_toolkit_imports_neither_it_nor_its_packages() -> None:
    assert run(sys.executable, "-c", SCRIPT).strip() == "[]"
