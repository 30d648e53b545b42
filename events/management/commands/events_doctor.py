"""`manage.py events_doctor`: check a live installation, and print problems with their remedies."""

import json
from typing import Any

from django.core.management import CommandError, CommandParser

from events.management.base import StoreCommand
from events.monitoring.diagnostics import Diagnostic, Finding, Severity, diagnostics
from events.plurals import number_of


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
            findings = each.findings(using)
            found += findings
            if not options["json"]:
                self._print(each, findings)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(finding) for finding in found], indent=2))
        levels = [Severity.ERROR] if options["fail_level"] == Severity.ERROR else [*Severity]
        counted = [each for each in found if each.severity in levels]
        if counted:
            raise CommandError(f"{number_of(len(found), 'finding')}.", returncode=1)

    def _print(self, diagnostic: Diagnostic, findings: list[Finding]) -> None:
        if not findings:
            self.stdout.write(f"{self.style.SUCCESS('ok')}       {diagnostic.name}")
        for finding in findings:
            style = self.style.ERROR if finding.severity is Severity.ERROR else self.style.WARNING
            since = f" (since {finding.since:%Y-%m-%d %H:%M:%S %Z})" if finding.since else ""
            self.stdout.write(f"{style(finding.severity.value.ljust(7))}  {finding.problem}{since}")
            self.stdout.write(f"         {finding.remedy}")


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "problem": finding.problem,
        "remedy": finding.remedy,
        "severity": finding.severity,
        "since": finding.since.isoformat() if finding.since else None,
    }
