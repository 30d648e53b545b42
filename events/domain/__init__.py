"""Typed events and aggregates on top of the event store; an app of its own: add `events.domain` to INSTALLED_APPS."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .codecs import Value, register_codec
    from .payloads import DomainEvent, event_type, upcasts

_MODULES = {
    "codecs": ("Value", "register_codec"),
    "payloads": ("DomainEvent", "event_type", "upcasts"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = ["DomainEvent", "Value", "event_type", "register_codec", "upcasts"]


def __getattr__(name: str) -> Any:
    """Return a public name from its module: Django imports this package before it has models."""
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
