"""The categories that a user may read or append to: all, by a model permission, or some, by one permission each.

The permission `events.view_event` covers all events, `events.view_event:order` the events of the category `order`;
`events.add_event` and `events.add_event:order` do the same for appends. They are ordinary permissions of Django: users
and groups get them in the admin, any authentication backend can grant them, and a check costs one permission check.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.db import router

from . import decoding
from .conf import conf
from .setting_kinds import ALL, NONE
from .types import category_of

READ, APPEND = "events.view_event", "events.add_event"
METRICS = "events.view_metrics"


@dataclass(frozen=True)
class Categories:
    """Some categories, or all of them.

    Attributes:
        names: the categories; None for all present and future categories.
    """

    names: frozenset[str] | None

    def __bool__(self) -> bool:
        return self.names is None or bool(self.names)

    def contains(self, aggregate_id: str) -> bool:
        """Return whether an aggregate belongs to one of these categories."""
        return self.names is None or category_of(aggregate_id) in self.names


ALL_CATEGORIES = Categories(None)


def readable(user: Any, permission: str = READ) -> Categories:
    """Return the categories that `user` may read.

    Args:
        permission: the model permission for all categories, for the model whose rows are read.
    """
    return _granted(user, permission, READ)


def appendable(user: Any) -> Categories:
    """Return the categories that `user` may append to."""
    return _granted(user, APPEND, APPEND)


def appendable_in_admin(user: Any) -> Categories:
    """Return the categories that `user` may append to in the admin; `EVENTS_APPEND_OVER_HTTP` may close them all."""
    return Categories(frozenset()) if conf.append_over_http == NONE else appendable(user)


def may_be_sent(event_type: str) -> bool:
    """Return whether `EVENTS_APPEND_OVER_HTTP` lets users append events of a type, over HTTP and in the admin."""
    return conf.append_over_http == ALL or (conf.append_over_http != NONE and event_type in decoding.types)


def for_category(permission: str, category: str) -> str:
    """Return the name of the permission for one category that corresponds to the model permission `permission`."""
    return f"{permission}:{category}"


def create_permissions(using: str, apps: Apps = installed_apps, **kwargs: Any) -> None:
    """Create the permissions for each of `EVENTS_CATEGORY_PERMISSIONS`; a receiver of `post_migrate`."""
    try:
        permissions: Any = apps.get_model("auth", "Permission")
        types: Any = apps.get_model("contenttypes", "ContentType")
    except LookupError:
        return  # django.contrib.auth is not installed, or not migrated yet
    if not conf.category_permissions or not router.allow_migrate_model(using, permissions):
        return
    event, _ = types.objects.using(using).get_or_create(app_label="events", model="event")
    for category in conf.category_permissions:
        for permission, verb in ((READ, "view"), (APPEND, "append")):
            codename = for_category(permission, category).removeprefix("events.")
            permissions.objects.using(using).get_or_create(
                content_type=event, codename=codename, defaults={"name": f"Can {verb} events of {category}"}
            )


def _granted(user: Any, permission: str, per_category: str) -> Categories:
    if user is None:  # REST framework's UNAUTHENTICATED_USER may be None
        return Categories(frozenset())
    if user.has_perm(permission):
        return ALL_CATEGORIES
    if not hasattr(user, "get_all_permissions"):  # a user that is no Django model
        own = {name: for_category(per_category, name) for name in conf.category_permissions}
        return Categories(frozenset(name for name, permission in own.items() if user.has_perm(permission)))
    prefix = for_category(per_category, "")
    held: Iterable[str] = user.get_all_permissions()
    return Categories(frozenset(name.removeprefix(prefix) for name in held if name.startswith(prefix)))
