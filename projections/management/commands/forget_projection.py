"""`manage.py forget_projection`: remove the stored state of a projection whose code is gone."""

from typing import Any

from django.core.management import CommandParser

from projections.management.base import WritingCommand
from projections.operations import actions


class Command(WritingCommand):
    help = "Remove the checkpoint and the parked events of a projection whose code is gone. Its tables stay."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")

    def handle(self, *args: Any, **options: Any) -> None:
        actions.forget(options["name"])
        self.stdout.write(f"{options['name']} is forgotten. Its tables are still there; a migration can drop them.")
