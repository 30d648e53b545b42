"""The diagnostics that `events_doctor` runs; any app can add some."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"  # events are lost, or may be lost
    WARNING = "warning"  # it can become a problem


@dataclass(frozen=True)
class Finding:
    """A problem and its remedy."""

    problem: str
    remedy: str
    severity: Severity = Severity.ERROR


Diagnose = Callable[[str], Iterator[Finding]]


@dataclass(frozen=True)
class Diagnostic:
    """A check of a live store.

    Attributes:
        name: a sentence that is true if there are no findings.
        diagnose: yields the findings in the database with an alias.
    """

    name: str
    diagnose: Diagnose


_modules: list[str] = []
_diagnostics: list[Diagnostic] = []


def register_module(name: str) -> None:
    """Add the diagnostics of the module with a dotted name; call this in `AppConfig.ready`.

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
    """Return a decorator that adds a function to the diagnostics."""

    def decorator(diagnose: Diagnose) -> Diagnose:
        _diagnostics.append(Diagnostic(name, diagnose))
        return diagnose

    return decorator
