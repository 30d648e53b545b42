"""A new Django project that uses the package, as somebody else would make it."""

import atexit
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from django.db import connection

from tests import ROOT

GETTING_STARTED = ROOT / "docs/getting-started.md"
SERVICE = ROOT / "docs/service.md"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def snippets(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def shell_lines(start: str) -> list[str]:
    """The lines of the pages' shell snippets that begin with `start`, without their comments."""
    lines = [line for page in PAGES for snippet in snippets(page, "sh") for line in snippet.splitlines()]
    return [re.sub(r"\s+# .*$", "", line) for line in lines if line.startswith(start)]


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> str:
    result = subprocess.run(command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def copy_checkout(folder: Path) -> None:
    """Copy what a checkout holds, without what has been made in it since."""
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(".*", "build", "*.egg-info", "__pycache__"))


USE_IT = """
from django.contrib.auth.models import User
from django.test import Client
from events.store import EventStore
from events.types import NewEvent
from projections.models import AggregateActivity

client = Client(SERVER_NAME="localhost")
client.force_login(User.objects.create_superuser("somebody"))
EventStore().dispatch(NewEvent("order-1", "OrderPlaced"), expected_version=0)
for url in ("/admin/", "/admin/events/event/", "/admin/events/aggregate/order-1/change/", "/admin/events/event/add/",
            "/api/events/", "/api/aggregates/order-1/events/", "/api/read-models/aggregate-activity/order-1/"):
    assert client.get(url).status_code == 200, url
print(AggregateActivity.objects.get().event_count)
"""


@contextmanager
def empty_databases(suffix: str) -> Iterator[dict[str, Any]]:
    """Two empty databases on the server of the tests, the second with `_store` after its name.

    Yields Django's settings for the first. They belong to a role that may do nothing else.
    """
    name = f"{connection.settings_dict['NAME']}_{suffix}"
    databases = (name, f"{name}_store")
    server = connection.copy("server")
    server.settings_dict["NAME"] = "postgres"
    server.set_autocommit(True)
    with server.cursor() as cursor:
        drop = [f'DROP DATABASE IF EXISTS "{each}" WITH (FORCE)' for each in databases]
        drop.append(f'DROP ROLE IF EXISTS "{name}"')
        # CREATEDB is for `manage.py test`, which makes a database of its own.
        role = f"CREATE ROLE \"{name}\" LOGIN CREATEDB PASSWORD 'secret'"
        create = [role, *(f'CREATE DATABASE "{each}" OWNER "{name}"' for each in databases)]
        for statement in drop + create:
            cursor.execute(statement)
        keys = ("ENGINE", "HOST", "PORT")
        login = {"USER": name, "PASSWORD": "secret", "NAME": name}
        yield {key: connection.settings_dict[key] for key in keys} | login
        for statement in drop:
            cursor.execute(statement)
    server.close()


@cache
def installed_packages() -> Path:
    """Install the package as docs/getting-started.md says, once a process; return the folder."""
    folder = Path(tempfile.mkdtemp(prefix="eventstore-package-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    copy_checkout(folder / "django-eventstore")
    (line,) = [line for line in snippets(GETTING_STARTED, "sh") if line.startswith("pip install ")]
    packages = folder / "packages"
    run(sys.executable, "-m", *line.split(), "--no-deps", "--quiet", "--target", packages, cwd=folder)
    return packages


class OwnProject:
    """A new Django project that uses the package, installed as docs/getting-started.md says."""

    def __init__(self, folder: Path, database: dict[str, Any]) -> None:
        self.packages, self.folder = folder / "packages", folder / "my project"
        self.python = Path(sys.executable)
        self.environment = {"PYTHONPATH": str(self.packages), "DJANGO_SETTINGS_MODULE": "shop.settings"}
        self.install(folder)
        self.folder.mkdir()
        start = [self.python, "-m", "django", "startproject", "shop", self.folder]
        run(*start, cwd=folder, **{**self.environment, "DJANGO_SETTINGS_MODULE": ""})
        blocks = snippets(GETTING_STARTED, "python")
        settings, urls = (
            next(block for block in blocks if block.startswith(f"# {name}.py")) for name in ("settings", "urls")
        )
        self.append("shop/settings.py", f"{settings}\nDATABASES['default'] = {database!r}\n")
        self.append("shop/urls.py", urls)

    def install(self, folder: Path) -> None:
        """Copy the installed package, which is the same for every project."""
        shutil.copytree(installed_packages(), self.packages)

    def append(self, path: str, text: str) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        with (self.folder / path).open("a") as file:
            file.write(f"\n{text}\n")

    def manage(self, *arguments: str, **environment: str) -> str:
        return run(self.python, "manage.py", *arguments, cwd=self.folder, **{**self.environment, **environment})
