"""The projections of this process, by name, as every app's `projections.py` registers them."""

from collections.abc import Iterable
from typing import TypeVar

from django.utils.module_loading import autodiscover_modules

from .base import Mode, Projection
from .exceptions import UnknownProjection

__all__ = ["all_projections", "get", "named", "register", "registered", "unregister"]

ProjectionClass = TypeVar("ProjectionClass", bound=type[Projection])

# All that was registered, mistakes included: the system checks speak about those, all at once.
_classes: list[type[Projection]] = []
_instances: dict[type[Projection], Projection] = {}


def register(projection: ProjectionClass) -> ProjectionClass:
    """Make a projection known; use it as a decorator of the class, in a module `projections.py` of an app."""
    if projection not in _classes:
        _classes.append(projection)
    return projection


def unregister(projection: type[Projection]) -> None:
    """Forget a projection; its rows and its checkpoint stay."""
    if projection in _classes:
        _classes.remove(projection)


def autodiscover() -> None:
    """Import the module `projections` of every installed app."""
    autodiscover_modules("projections")


def registered() -> list[type[Projection]]:
    """Return the classes as they were registered."""
    return list(_classes)


def all_projections(mode: Mode | None = None) -> list[Projection]:
    """Return the projections, by name; of one mode only, if it is given."""
    wanted = [cls for cls in _classes if mode is None or cls.mode == mode]
    return [_instance(cls) for cls in sorted(wanted, key=lambda cls: cls.name)]


def get(name: str) -> Projection:
    """Return the projection called `name`.

    Raises:
        UnknownProjection: there is none.
    """
    for cls in _classes:
        if cls.name == name:
            return _instance(cls)
    raise UnknownProjection(name, (cls.name for cls in _classes))


def named(names: Iterable[str]) -> list[Projection]:
    """Return the projections called `names`; all of them when it is empty.

    Raises:
        UnknownProjection: there is none of such a name.
    """
    return [get(name) for name in dict.fromkeys(names)] or all_projections()


def _instance(cls: type[Projection]) -> Projection:
    if cls not in _instances:
        _instances[cls] = cls()
    return _instances[cls]
