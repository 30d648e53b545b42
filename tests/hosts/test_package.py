"""The wheel, in a virtual environment of its own, in a project that is as unlike the demo as can be."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT
from tests.ownproject import USE_IT, OwnProject, run

ELSEWHERE = Path(__file__).parent / "project"


class Installation:
    """The wheel as it would be published, and an environment that has it.

    What the package depends on it takes from the environment of the tests.
    """

    def __init__(self, folder: Path, wheel: Path) -> None:
        pip = [sys.executable, "-m", "pip"]
        self.wheel = wheel
        run(sys.executable, "-m", "venv", "--without-pip", folder / "environment")
        self.python = folder / "environment/bin/python"
        run(*pip, f"--python={self.python}", "install", "--no-deps", "--quiet", self.wheel)
        (self.packages,) = (folder / "environment/lib").glob("python*/site-packages")
        (self.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Installation:
    return Installation(tmp_path_factory.mktemp("installation"), wheel)


class InstalledProject(OwnProject):
    """Another user model, another time zone, a schema of its own, apps whose names are like ours."""

    def __init__(self, folder: Path, database: dict[str, Any], installation: Installation) -> None:
        self._installation = installation
        super().__init__(folder, database)
        shutil.copytree(ELSEWHERE, self.folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        self.append("shop/settings.py", "from .more_settings import *\nINSTALLED_APPS += MORE_APPS")
        self.append("shop/settings.py", "DATABASES['default']['OPTIONS'] = {'options': '-c search_path=shop,public'}")

    def install(self, folder: Path) -> None:
        self.python, self.packages = self._installation.python, self._installation.packages
        self.environment = {"PYTHONPATH": "", "DJANGO_SETTINGS_MODULE": "shop.settings"}


@pytest.fixture
def project(tmp_path: Path, empty_database: dict[str, Any], installation: Installation) -> InstalledProject:
    return InstalledProject(tmp_path, empty_database, installation)


def test_wheel_holds_the_apps_and_nothing_else(installation: Installation) -> None:
    with zipfile.ZipFile(installation.wheel) as archive:
        names = {Path(name) for name in archive.namelist()}
        (metadata,) = (archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA"))
    listed = subprocess.run(["git", "ls-files", "events", "projections"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    own = {name for name in names if not name.parts[0].endswith(".dist-info")}
    assert own == {Path(name) for name in listed.stdout.splitlines() if (ROOT / name).exists()}
    assert {"py.typed", "storage", "templates", "static"} <= {
        name.parts[1] for name in own if name.parts[0] == "events"
    }
    assert Path("projections/py.typed") in own
    assert any(name.name == "LICENSE" for name in names - own)
    assert "License-Expression: MIT" in metadata


def test_pytest_finds_the_fixture_of_the_wheel(installation: Installation, tmp_path: Path) -> None:
    """Also in a folder without Django, where it must not be in the way."""
    load = (
        "from importlib.metadata import entry_points; import sys\n"
        "print(*[each.load().__file__ for each in entry_points(group='pytest11', name='eventstore')])\n"
        "assert 'django' not in sys.modules"
    )
    where = run(installation.python, "-c", load, cwd=tmp_path, PYTHONPATH="", DJANGO_SETTINGS_MODULE="")
    assert Path(where.strip()) == installation.packages / "events/testing/pytest_plugin.py"


def test_project_unlike_the_demo_uses_the_wheel(project: InstalledProject) -> None:
    """Migrate there and back, use it by Python, admin and HTTP, run the project's own tests."""
    manage = project.manage
    manage("shell", "-c", SCHEMA)
    assert str(project.packages) in manage("shell", "-c", MIGRATE)
    using_it = USE_IT.replace("django.contrib.auth.models import User", "people.models import Person as User")
    assert manage("shell", "-c", using_it).splitlines()[-1] == "1"
    manage("test")


def test_project_with_the_store_in_another_database(project: InstalledProject) -> None:
    """A router names it; users and permissions stay where they are."""
    project.environment["DJANGO_SETTINGS_MODULE"] = "shop.two_databases"
    manage = project.manage
    manage("shell", "-c", SCHEMA)
    manage("shell", "-c", MIGRATE_BOTH)
    using_it = USE_IT.replace("django.contrib.auth.models import User", "people.models import Person as User")
    assert manage("shell", "-c", using_it).splitlines()[-1] == "1"
    assert "in store: 1" in manage("shell", "-c", PROJECT)
    manage("test")


SCHEMA = """
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("CREATE SCHEMA shop")
"""
MIGRATE = """
import events
from django.core.management import call_command
from django.db import connection
call_command("check", databases=["default"], fail_level="WARNING")
for steps in ((), ("projections", "zero"), ("events", "zero")):
    call_command("migrate", *steps, verbosity=0)
with connection.cursor() as cursor:
    left = "SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace"
    cursor.execute(f"SELECT tablename FROM pg_tables WHERE tablename ~ '^(events|projections)_' UNION {left}")
    assert cursor.fetchall() == []
    call_command("migrate", verbosity=0)
    cursor.execute("SELECT schemaname FROM pg_tables WHERE tablename IN ('events_event', 'projections_checkpoint')")
    assert cursor.fetchall() == [("shop",), ("shop",)]
call_command("makemigrations", check_changes=True, dry_run=True)
print(events.__file__)
"""
MIGRATE_BOTH = """
from django.core.management import call_command
from django.db import connection
for alias in ("default", "store"):
    call_command("migrate", database=alias, verbosity=0)
call_command("check", databases=["default", "store"], fail_level="WARNING")
assert "events_event" not in connection.introspection.table_names()
"""
PROJECT = """
from io import StringIO
from django.core.management import CommandError, call_command
from events.models import Event
from sales.models import Sale
call_command("run_projections", until_caught_up=True)
call_command("list_projections")
for command in ("seal_events", "events_digest", "verify_events"):
    call_command(command)
call_command("export_events", "exported.jsonl")
call_command("import_events", "exported.jsonl")
for options, finding in (({}, "no worker has been seen"), ({"database": "default"}, "'default' has no event store")):
    output = StringIO()
    try:
        call_command("events_doctor", stdout=output, **options)
    except CommandError:
        assert finding in output.getvalue(), output.getvalue()
assert Event.objects.using("store").get().version == Sale.objects.using("store").get().count == 1
print("in store:", Event.objects.using("store").count())
"""
