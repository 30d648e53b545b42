"""The projections of this process, which each app registers in its module `projections`."""

from collections.abc import Iterable
from typing import TypeVar

from django.utils.module_loading import autodiscover_modules

from events.monitoring.consumers import Consumer

from .base import Kind, Mode, Projection
from .exceptions import UnknownProjection

__all__ = ["all_projections", "get", "named", "register", "registered", "unregister"]

ProjectionClass = TypeVar("ProjectionClass", bound=type[Projection])

# Invalid classes are kept too, so that the system checks report every mistake.
_classes: list[type[Projection]] = []
_instances: dict[type[Projection], Projection] = {}


def register(projection: ProjectionClass) -> ProjectionClass:
    """Register a projection. Use it as a class decorator in the module `projections` of an app."""
    if projection not in _classes:
        _classes.append(projection)
    return projection


def unregister(projection: type[Projection]) -> None:
    """Remove a projection from this process; its rows and its checkpoint stay."""
    if projection in _classes:
        _classes.remove(projection)


def autodiscover() -> None:
    """Import the modules `projections` and `reactions` of every installed app."""
    autodiscover_modules("projections", "reactions")


def registered() -> list[type[Projection]]:
    """Return the registered classes in the order of registration."""
    return list(_classes)


def all_projections(mode: Mode | None = None) -> list[Projection]:
    """Return the projections ordered by name, of one mode if `mode` is given."""
    wanted = [cls for cls in _classes if mode is None or cls.mode == mode]
    return [_instance(cls) for cls in sorted(wanted, key=lambda cls: cls.name)]


def get(name: str) -> Projection:
    """Return the projection called `name`.

    Raises:
        UnknownProjection: no projection has this name.
    """
    for cls in _classes:
        if cls.name == name:
            return _instance(cls)
    raise UnknownProjection(name, (cls.name for cls in _classes))


def has_reaction(name: str) -> bool:
    """Return whether a reaction of this process is called `name`."""
    return any(cls.name == name and cls.kind is Kind.REACTION for cls in _classes)


def consumers_of(event_type: str) -> list[Consumer]:
    """Return the projections that handle an event type, for a list of those that get its events."""
    page, permission = "projections_projectionstate_change", "projections.view_projectionstate"
    return [
        Consumer("projection", each.name, (page, each.name), permission, is_of_all=types is None)
        for each in all_projections()
        if (types := each.wanted_types()) is None or event_type in types
    ]


def named(names: Iterable[str]) -> list[Projection]:
    """Return the projections called `names`, or all of them if `names` is empty.

    Raises:
        UnknownProjection: no projection has one of the names.
    """
    return [get(name) for name in dict.fromkeys(names)] or all_projections()


def _instance(cls: type[Projection]) -> Projection:
    if cls not in _instances:
        _instances[cls] = cls()
    return _instances[cls]
