"""`manage.py events_grants`: the SQL that grants database roles what they need, and no more."""

from typing import Any

from django.core.management import CommandError, CommandParser

from events.grants import Grants
from events.management.commandbase import StoreCommand


class Command(StoreCommand):
    help = (
        "Print the SQL that grants roles what they need, and no more. The roles exist already; run it as the owner of"
        " the tables, and again after an upgrade."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reader", action="append", default=[], metavar="ROLE", help="reads; may be repeated")
        parser.add_argument("--writer", action="append", default=[], metavar="ROLE", help="reads and appends")
        parser.add_argument(
            "--operator",
            action="append",
            default=[],
            metavar="ROLE",
            help="runs workers, rebuilds projections, seals. A role in whose transactions INLINE projections run needs"
            " this besides --writer",
        )
        parser.add_argument(
            "--read-models",
            nargs="+",
            default=[],
            metavar="APP",
            help="with --operator: the apps whose tables the projections write, `projections` among them",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not (options["reader"] or options["writer"] or options["operator"]):
            raise CommandError("Name at least one role: --reader, --writer or --operator")
        if bool(options["operator"]) != bool(options["read_models"]):
            raise CommandError("--operator and --read-models go together: name the apps whose tables projections write")
        grants = Grants(options["database"])
        statements = [each for role in options["reader"] for each in grants.reader(role)]
        statements += [each for role in options["writer"] for each in grants.writer(role)]
        try:
            for role in options["operator"]:
                statements += grants.operator(role, options["read_models"])
        except LookupError as error:
            raise CommandError(f"--read-models: {error}") from error
        for statement in dict.fromkeys(statements):
            self.stdout.write(f"{statement};")
