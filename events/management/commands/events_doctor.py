"""`manage.py events_doctor`: check a live installation, and print problems with their remedies."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management import CommandError, CommandParser
from django.db import Error, connections

from events.management.base import StoreCommand
from events.monitoring.diagnostics import Diagnostic, Finding, Severity, diagnostics
from events.monitoring.session import diagnosis
from events.storage import server_errors


class Command(StoreCommand):
    needs_store = False
    help = (
        "Check a live installation for problems, without changing anything. Each finding has a remedy. The exit code is"
        " 1 if there are findings."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print the findings as JSON, for monitoring")
        parser.add_argument(
            "--fail-level",
            choices=[*Severity],
            type=Severity,
            default=Severity.WARNING,
            help="the lowest severity that sets the exit code to 1 (%(default)s)",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        using = options["database"]
        found: list[Finding] = []
        for each in diagnostics(using):
            findings = _findings_of(each, using)
            found += findings
            if not options["json"]:
                self._print(each, findings)
        if options["json"]:
            self.stdout.write(json.dumps([asdict(finding) for finding in found], indent=2))
        levels = [Severity.ERROR] if options["fail_level"] == Severity.ERROR else [*Severity]
        counted = [each for each in found if each.severity in levels]
        if counted:
            raise CommandError(f"{len(found)} finding{'s' * (len(found) != 1)}.", returncode=1)

    def _print(self, diagnostic: Diagnostic, findings: list[Finding]) -> None:
        if not findings:
            self.stdout.write(f"{self.style.SUCCESS('ok')}       {diagnostic.name}")
        for finding in findings:
            style = self.style.ERROR if finding.severity is Severity.ERROR else self.style.WARNING
            self.stdout.write(f"{style(finding.severity.value.ljust(7))}  {finding.problem}")
            self.stdout.write(f"         {finding.remedy}")


def _findings_of(diagnostic: Diagnostic, using: str) -> list[Finding]:
    try:
        with diagnosis(using):
            return list(diagnostic.diagnose(using))
    except Exception as error:  # also one in the code of another app
        line, remedy = f"{type(error).__name__}: {server_errors.first_line(error)}", "Solve the problems above first."
        if isinstance(error, Error):
            line, remedy = server_errors.in_words(error, using)
            if server_errors.is_lost(error):
                connections[using].close()  # the next diagnostic connects again
        return [Finding(f"could not be checked: {diagnostic.name} ({line})", remedy)]
