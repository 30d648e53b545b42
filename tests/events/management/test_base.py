"""Commands on a store name the database they cannot use."""

import pytest
from django.core.management import CommandError

from events.management.base import StoreCommand


class Command(StoreCommand):
    def handle(self, **options: object) -> str:
        return f"ran on {options['database']}"


def run(database: str) -> str:
    return Command().execute(database=database, force_color=False, no_color=False, skip_checks=True)


@pytest.mark.django_db
def test_command_gets_the_database() -> None:
    assert run("default") == "ran on default"


def test_unknown_database_is_named() -> None:
    with pytest.raises(CommandError, match="--database: there is no 'other' in DATABASES"):
        run("other")
