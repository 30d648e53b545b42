"""`manage.py events_grants`: print the SQL for the minimal grants of database roles."""

import argparse
from typing import Any

from django.core.management import CommandParser

from events.management.base import StoreCommand
from events.management.endings import wrong_arguments
from events.monitoring.grants import Grants

KINDS = {
    "reader": "reads events; each of these options may be repeated",
    "writer": "reads and appends",
    "inline_writer": "reads and appends, and writes the tables of INLINE projections",
    "operator": "runs workers, rebuilds projections, seals events",
    "monitor": "runs events_doctor",
}
WITH_READ_MODELS = {"inline_writer", "operator", "monitor"}


class Command(StoreCommand):
    help = (
        "Print the SQL that grants existing roles what they need, and no more. Run the SQL as the owner of the tables,"
        " and again after an upgrade."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        for kind, does in KINDS.items():
            name = kind.replace("_", "-")
            parser.add_argument(f"--{name}", action="append", default=[], type=_role, metavar="ROLE", help=does)
        parser.add_argument(
            "--read-models",
            nargs="+",
            default=[],
            metavar="APP",
            help="the apps whose tables the projections write, including `projections`",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        kinds = [kind for kind in KINDS if options[kind]]
        if not kinds:
            raise wrong_arguments(
                f"Name at least one role: {', '.join('--' + kind.replace('_', '-') for kind in KINDS)}"
            )
        if bool(set(kinds) & WITH_READ_MODELS) != bool(options["read_models"]):
            raise wrong_arguments(
                "--read-models goes with --inline-writer, --operator and --monitor: name the apps whose tables the"
                " projections write"
            )
        grants = Grants(options["database"])
        statements: list[str] = []
        try:
            for kind in kinds:
                extra = [options["read_models"]] if kind in WITH_READ_MODELS else []
                for role in options[kind]:
                    statements += getattr(grants, kind)(role, *extra)
        except LookupError as error:
            raise wrong_arguments(f"--read-models: {error}") from error
        for statement in dict.fromkeys(statements):
            self.stdout.write(f"{statement};")


def _role(name: str) -> str:
    if not name.strip() or name.lower() in ("public", "current_user", "session_user", "current_role"):
        raise argparse.ArgumentTypeError(f"{name!r} is not a role; name an existing role")
    return name
