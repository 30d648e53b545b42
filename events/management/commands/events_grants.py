"""`manage.py events_grants`: the SQL that grants database roles what they need, and no more."""

import argparse
from typing import Any

from django.core.management import CommandError, CommandParser

from events.management.base import StoreCommand
from events.monitoring.grants import Grants

KINDS = {
    "reader": "reads; each of these may be repeated",
    "writer": "reads and appends",
    "inline_writer": "the same where INLINE projections are on: writes their tables as well",
    "operator": "runs workers, rebuilds projections, seals",
    "monitor": "runs events_doctor",
}
WITH_READ_MODELS = {"inline_writer", "operator", "monitor"}


class Command(StoreCommand):
    help = (
        "Print the SQL that grants roles what they need, and no more. The roles exist already; run it as the owner of"
        " the tables, and again after an upgrade."
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
            help="the apps whose tables the projections write, `projections` among them",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        asked = [kind for kind in KINDS if options[kind]]
        if not asked:
            raise CommandError(f"Name at least one role: {', '.join('--' + kind.replace('_', '-') for kind in KINDS)}")
        if bool(set(asked) & WITH_READ_MODELS) != bool(options["read_models"]):
            raise CommandError(
                "--read-models goes with --inline-writer, --operator and --monitor: name the apps whose tables the"
                " projections write"
            )
        grants = Grants(options["database"])
        statements: list[str] = []
        try:
            for kind in asked:
                extra = [options["read_models"]] if kind in WITH_READ_MODELS else []
                for role in options[kind]:
                    statements += getattr(grants, kind)(role, *extra)
        except LookupError as error:
            raise CommandError(f"--read-models: {error}") from error
        for statement in dict.fromkeys(statements):
            self.stdout.write(f"{statement};")


def _role(name: str) -> str:
    if not name.strip() or name.lower() in ("public", "current_user", "session_user", "current_role"):
        raise argparse.ArgumentTypeError(f"{name!r} is no role; name one that exists")
    return name
