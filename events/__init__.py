"""An event store for Django on PostgreSQL."""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    """Return what the PyPI distribution `Events` exports, if it is installed beside this one.

    Both distributions install a package `events` and share its folder; only `__init__.py` exists in both.
    """
    if name in ("Events", "EventsException"):
        try:
            return getattr(import_module("events.events"), name)
        except ModuleNotFoundError:
            pass
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
