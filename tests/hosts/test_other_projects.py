"""Fresh projects with other themes, languages, routers, users and settings of REST framework."""

import json
import shutil
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import FULL, ROOT
from tests.ownproject import OwnProject

APPS = Path(__file__).parent / "project"
BROKEN = """
@register
class Broken(Projection):
    name = "broken"
    mode = ASYNC
    models = [Note]

    @handles("Broken")
    def fail(self, event):
        raise ValueError("it is broken")
"""
NOTE = """
class Note(models.Model):
    text = models.TextField()
"""
SHARED = """
INSTALLED_APPS += ["sales"]
PROJECTIONS_EVENT_TYPE_ACTIVITY = PROJECTIONS_DAILY_ACTIVITY = True
PROJECTIONS_RETRY_DELAYS_SECONDS = (0.01,)
PROJECTIONS_SEALS = True
"""


@dataclass(frozen=True)
class Host:
    """A project.

    Attributes:
        settings, urls: what follows the settings and URLs of getting-started.md.
        admin: the address of the admin site.
        apis: where the operations of the HTTP interface are.
        theme: the package that it needs.
    """

    settings: str
    urls: str = ""
    admin: str = "/admin/"
    apis: tuple[str, ...] = ("/api/",)
    theme: str | None = None


HOSTS = {
    "unfold, German, second database": Host(
        """
INSTALLED_APPS = ["unfold", "unfold.contrib.filters", *INSTALLED_APPS]
LANGUAGE_CODE, TIME_ZONE, USE_THOUSAND_SEPARATOR = "de", "Europe/Berlin", True
DATABASES["store"] = {**DATABASES["default"], "NAME": DATABASES["default"]["NAME"] + "_store"}
DATABASE_ROUTERS = ["shop.routers.StoreRouter"]
""",
        theme="unfold",
    ),
    "REST framework": Host(
        """
MIDDLEWARE.append("django.contrib.auth.middleware.LoginRequiredMiddleware")
REST_FRAMEWORK = {
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.ScopedRateThrottle",
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"anon": "1000/min", "user": "1000/min", "events": "1000/min"},
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.URLPathVersioning",
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 2,
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.BrowsableAPIRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "EXCEPTION_HANDLER": "rest_framework.views.exception_handler",
}
""",
        """
versioned = [path("", include("events.api.urls")), path("", include("projections.api.urls"))]
urlpatterns += [path("v/<str:version>/", include((versioned, "shop"), namespace="inner"))]
""",
        apis=("/api/", "/v/v1/"),
    ),
    "grappelli, Arabic, users without a model": Host(
        """
INSTALLED_APPS = ["grappelli", *INSTALLED_APPS]
LANGUAGE_CODE, USE_THOUSAND_SEPARATOR = "ar", True
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["shop.tokens.Stateless"],
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
}
""",
        """
urlpatterns += [path("grappelli/", include("grappelli.urls"))]
""",
        theme="grappelli",
    ),
}
TOKENS = '''
from types import SimpleNamespace

from rest_framework.authentication import BaseAuthentication


class Stateless(BaseAuthentication):
    """The user of a token that another service signed: no row, no key."""

    def authenticate(self, request):
        if "sessionid" not in request.COOKIES:  # in place of a signed token
            return None
        return SimpleNamespace(is_authenticated=True, has_perm=lambda name, obj=None: True), None

    def authenticate_header(self, request):
        return "Bearer"
'''


def operations() -> list[list[str]]:
    """The method and path of every operation, after the prefix, without those of the domain toolkit."""
    paths = yaml.safe_load((ROOT / "docs/openapi.yaml").read_text())["paths"]
    return [
        [method, path.removeprefix("/api/")]
        for path, methods in paths.items()
        for method in methods
        if "/commands/" not in path and "/event-types/" not in path
    ]


def make(folder: Path, database: dict[str, Any], host: Host) -> OwnProject:
    project = OwnProject(folder, database)
    for app in ("sales", "shop"):
        ignored = shutil.ignore_patterns("__pycache__", "migrations")
        shutil.copytree(APPS / app, project.folder / app, dirs_exist_ok=True, ignore=ignored)
    project.append("sales/models.py", NOTE)
    project.append("sales/projections.py", f"from .models import Note\n{BROKEN}")
    project.append("shop/settings.py", SHARED + host.settings)
    project.append("shop/urls.py", host.urls)
    project.append("shop/tokens.py", TOKENS)
    project.environment["PYTHONPATH"] += f":{ROOT}"
    return project


@pytest.mark.parametrize("name", HOSTS if FULL else ["REST framework"])
def test_every_page_operation_and_command(tmp_path: Path, empty_database: dict[str, Any], name: str) -> None:
    host = HOSTS[name]
    if host.theme and find_spec(host.theme) is None:
        pytest.skip(f"{host.theme} is not installed")
    project = make(tmp_path, empty_database, host)
    project.manage("makemigrations", "sales")
    for alias in ("default", "store") if '"store"' in host.settings else ("default",):
        project.manage("migrate", "--database", alias, "--verbosity", "0")
    walk = f"from tests.hosts.walk import main; main({host.admin!r}, {host.apis!r}, {operations()!r})"
    result = json.loads(project.manage("shell", "-c", walk).splitlines()[-1])
    if result["faults"]:
        pytest.fail("\n".join(result["faults"]))  # in full, which an assertion would shorten
    assert result["pages"] > 40
    assert result["operations"] == len(host.apis) * (len(operations()) - 2)
