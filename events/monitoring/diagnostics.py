"""What `events_doctor` checks: a list of diagnostics, to which any app can add."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # events are lost, or may get lost
    WARNING = "warning"  # it will become a problem


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what to do about it."""

    problem: str
    remedy: str
    severity: Severity = Severity.ERROR


Diagnose = Callable[[str], Iterator[Finding]]


@dataclass(frozen=True)
class Diagnostic:
    """One thing to check.

    Attributes:
        name: the statement that holds when there are no findings.
        diagnose: yields the findings in the database of an alias.
    """

    name: str
    diagnose: Diagnose


_modules: list[str] = []
_diagnostics: list[Diagnostic] = []


def register_module(name: str) -> None:
    """Add the diagnostics of a module, given by its dotted name; call it in `AppConfig.ready`.

    The module is imported when the doctor runs, because no other program needs it.
    """
    if name not in _modules:
        _modules.append(name)


def diagnostics() -> list[Diagnostic]:
    """Return the diagnostics of all apps."""
    for name in _modules:
        import_module(name)
    return _diagnostics


def diagnostic(name: str) -> Callable[[Diagnose], Diagnose]:
    """Add the decorated function to what the doctor checks."""

    def decorator(diagnose: Diagnose) -> Diagnose:
        _diagnostics.append(Diagnostic(name, diagnose))
        return diagnose

    return decorator
