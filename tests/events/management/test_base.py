"""Commands on a store name the database they cannot use."""

import io
import sys

import pytest
from django.core.management import CommandError, call_command

from events.management.base import StoreCommand


class Command(StoreCommand):
    def handle(self, **options: object) -> str:
        return f"ran on {options['database']}"


def run(database: str) -> str:
    return Command().execute(database=database, force_color=False, no_color=False, skip_checks=True)


@pytest.mark.django_db
def test_command_gets_the_database() -> None:
    assert run("default") == "ran on default"


@pytest.mark.django_db
def test_process_without_a_console_keeps_its_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    call_command(Command(), stdout=(output := io.StringIO()), skip_checks=True)
    assert output.getvalue() == "ran on default\n"
    assert sys.stdout is None


def test_unknown_database_is_named() -> None:
    with pytest.raises(CommandError, match="--database: there is no 'other' in DATABASES"):
        run("other")
