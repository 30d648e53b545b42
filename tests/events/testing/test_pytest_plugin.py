"""The plugin for pytest costs nothing where it is not used."""

import subprocess
import sys

import pytest

from tests import ROOT

START = """
import sys
import pytest
before = set(sys.modules)
import events.testing.pytest_plugin
import events.testing
print(*sorted(set(sys.modules) - before))
assert {"eager_events", "make_event"} <= set(dir(events.testing))
try:
    events.testing.unknown
except AttributeError as error:
    assert "no attribute 'unknown'" in str(error)
"""


def test_plugin_and_package_import_nothing_before_they_are_used() -> None:
    done = subprocess.run([sys.executable, "-c", START], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.split() == ["events", "events.testing", "events.testing.pytest_plugin"]


def test_fixture_says_what_it_is(request: pytest.FixtureRequest) -> None:
    (definition,) = request._fixturemanager.getfixturedefs("eager_events", request.node)
    assert definition.func.__module__ == "events.testing.pytest_plugin"
    assert "db" in definition.argnames
