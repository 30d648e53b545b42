"""Typed events and aggregates on top of the event store; an app of its own: add `events.domain` to INSTALLED_APPS."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aggregates import Aggregate, applies, creates
    from .codecs import Value, register_codec
    from .commands import command
    from .deciders import decider
    from .differences import ABSENT, Difference
    from .payloads import DomainEvent, event_type, upcasts
    from .repository import Repository
    from .together import achange_together, change_together

_MODULES = {
    "aggregates": ("Aggregate", "applies", "creates"),
    "commands": ("command",),
    "codecs": ("Value", "register_codec"),
    "deciders": ("decider",),
    "differences": ("ABSENT", "Difference"),
    "payloads": ("DomainEvent", "event_type", "upcasts"),
    "repository": ("Repository",),
    "together": ("achange_together", "change_together"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "ABSENT",
    "Aggregate",
    "Difference",
    "DomainEvent",
    "Repository",
    "Value",
    "achange_together",
    "applies",
    "change_together",
    "command",
    "creates",
    "decider",
    "event_type",
    "register_codec",
    "upcasts",
]


def __getattr__(name: str) -> Any:
    """Return a public name from its module: Django imports this package before it has models."""
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
