"""Other packages, apps and distributions that are called `events`."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests import ROOT
from tests.ownproject import run

DISTRIBUTION = "Events==0.5"  # from PyPI: a dependency of opensearch-py
USE_BOTH = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["events", "projections", "django.contrib.contenttypes", "django.contrib.auth"])
django.setup()
from events import Events, EventsException
from events.store import EventStore
events = Events(("on_change",))
events.on_change += print
events.on_change("called")
print(EventStore().using)
"""


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> dict[str, Path]:
    """Our wheel, and that of the distribution `Events`."""
    folder = tmp_path_factory.mktemp("theirs")
    download = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "-d", folder, DISTRIBUTION]
    if subprocess.run(download).returncode:
        pytest.skip(f"{DISTRIBUTION} cannot be downloaded here")
    return {"ours": wheel, "theirs": next(folder.glob("*.whl"))}


@pytest.mark.parametrize("order", [("ours", "theirs"), ("theirs", "ours")], ids=lambda order: f"{order[1]} last")
def test_distribution_events_works_beside_the_store(
    tmp_path: Path, wheels: dict[str, Path], order: tuple[str, str]
) -> None:
    """Both install a package `events`, and the one that comes last writes its `__init__.py`."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path)
    python = tmp_path / "bin/python"
    for owner in order:
        run(sys.executable, "-m", "pip", f"--python={python}", "install", "--no-deps", "--quiet", wheels[owner])
    (packages,) = (tmp_path / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    assert run(python, "-c", USE_BOTH, cwd=tmp_path, DJANGO_SETTINGS_MODULE="").splitlines() == ["called", "default"]


def test_store_alone_exports_no_other_names() -> None:
    import events

    with pytest.raises(ImportError, match="cannot import name 'Events' from 'events'"):
        from events import Events  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(AttributeError, match="has no attribute 'Store'"):
        _ = events.Store


@pytest.mark.parametrize("path", ["events/__init__.py", "events.py"])
def test_package_that_hides_the_store_is_named(tmp_path: Path, path: str) -> None:
    """A project's own folder comes first in `sys.path`."""
    hiding = tmp_path / path
    hiding.parent.mkdir(exist_ok=True)
    hiding.write_text("")
    error = error_of("import projections", tmp_path)
    assert f"The package `events` that Python finds, {hiding}, is not the event store" in error
    assert "Rename that package, or run the store as a separate service" in error


@pytest.mark.parametrize("apps", [("events", "venue.events"), ("venue.events", "events")], ids=" before ".join)
def test_two_apps_of_one_label_are_named(tmp_path: Path, apps: tuple[str, str]) -> None:
    (tmp_path / "venue/events").mkdir(parents=True)
    error = error_of(SET_UP.format(apps=apps), tmp_path)
    assert "the label 'events': the event store and 'venue.events'. Give the other app another label" in error
    (tmp_path / "venue/events/apps.py").write_text(ANOTHER_LABEL)
    assert not error_of(SET_UP.format(apps=apps), tmp_path)


SET_UP = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS={apps} + ("django.contrib.contenttypes", "django.contrib.auth"))
django.setup()
"""
ANOTHER_LABEL = """
from django.apps import AppConfig

class VenueEvents(AppConfig):
    name = "venue.events"
    label = "venue_events"
"""


def error_of(code: str, folder: Path) -> str:
    """Return what Python writes to standard error, with `folder` first in `sys.path`."""
    command = [sys.executable, "-c", code]
    return subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": f"{folder}:{ROOT}"}, capture_output=True, text=True
    ).stderr
