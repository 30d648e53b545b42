"""Helpers for tests of code that uses the store: `eager_events`, `given`, and factories of events.

The names are imported when they are first used, so this package can be imported before Django's apps are loaded.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from events.domain.testing import given, isolated_registry

    from .eager import EagerEvents, FailedAfterCommit, eager_events
    from .factories import make_event, make_events, make_new_event

__all__ = [
    "EagerEvents",
    "FailedAfterCommit",
    "eager_events",
    "given",
    "isolated_registry",
    "make_event",
    "make_events",
    "make_new_event",
]

_MODULES = {
    "EagerEvents": ".eager",
    "FailedAfterCommit": ".eager",
    "eager_events": ".eager",
    "given": "events.domain.testing",
    "isolated_registry": "events.domain.testing",
    "make_event": ".factories",
    "make_events": ".factories",
    "make_new_event": ".factories",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name], __name__), name)


def __dir__() -> list[str]:
    return [*globals(), *_MODULES]
