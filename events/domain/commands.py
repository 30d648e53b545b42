"""Commands that users outside of the code may run: who may run each of them, and its arguments."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints, overload

import msgspec
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.db import router

from events.exceptions import InvalidEvent

from . import aggregates
from .aggregates import Aggregate, AnyCommand
from .codecs import Codec, codec_of

_MARK = "outside_permission"


@overload
def command(method: AnyCommand, /) -> AnyCommand: ...
@overload
def command(*, permission: str = "") -> Callable[[AnyCommand], AnyCommand]: ...
def command(method: Any = None, /, *, permission: str = "") -> Any:
    """Open a command of an aggregate to users outside of the code: over HTTP, and as a form in the admin.

    @command(permission="shop.pay_order")
    def pay(self, method: str) -> None: ...

    It goes with `@creates` in any order. The annotations of the parameters say which arguments are accepted.

    Args:
        permission: the permission that a user needs, such as `shop.pay_order`; `migrate` creates it. A command without
            one is an error of `check`, and nobody may run it.
    """

    def decorator(marked: Any) -> Any:
        setattr(marked, _MARK, permission)
        return marked

    return decorator if method is None else decorator(method)


@dataclass(frozen=True)
class Command:
    """A command that is open to users.

    Attributes:
        aggregate_class, name: the class and the name of its method.
        permission: the permission that a user needs; empty: nobody has it.
        method: the method.
    """

    aggregate_class: type[Aggregate]
    name: str
    permission: str
    method: Callable[..., Any]

    @property
    def title(self) -> str:
        """The name for people, such as `Pay` or `Change address`."""
        return self.name.replace("_", " ").capitalize()

    @property
    def description(self) -> str:
        """The first line of the docstring."""
        return (inspect.getdoc(self.method) or "").partition("\n")[0]

    @property
    def creates(self) -> bool:
        """Whether it may run on an aggregate without events."""
        return getattr(self.method, "creates", False)

    @property
    def parameters(self) -> list[inspect.Parameter]:
        """The parameters without `self`."""
        return list(inspect.signature(self.method).parameters.values())[1:]

    @cached_property
    def arguments_class(self) -> Any:
        """A class with a member for each parameter.

        Raises:
            TypeError: a parameter stands for several arguments, as `*args` does.
            NameError: a name in an annotation is not defined.
        """
        hints = get_type_hints(inspect.unwrap(self.method), include_extras=True)
        members: list[Any] = []
        for each in self.parameters:
            if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD):
                raise TypeError(f"the parameter {each} stands for several arguments; name each of them")
            annotation = hints.get(each.name, Any)
            members.append(
                (each.name, annotation) if each.default is each.empty else (each.name, annotation, each.default)
            )
        return msgspec.defstruct(f"{self.aggregate_class.__name__}_{self.name}", members, kw_only=True)

    def is_allowed(self, user: Any) -> bool:
        """Return whether a user may run the command."""
        return bool(self.permission and user is not None and user.has_perm(self.permission))

    def arguments(self, given: Any) -> dict[str, Any]:
        """Return the arguments of the method from a JSON object.

        Raises:
            InvalidEvent: they do not fit; the field is the path, such as `lines[0].quantity`.
        """
        try:
            read = self._codec.to_payload(self._codec.to_data(given))
        except InvalidEvent as error:
            field = error.field.removeprefix("data").removeprefix(".") or "body"
            raise InvalidEvent(field, error.reason.replace(self.arguments_class.__qualname__, self.name)) from None
        return {name: getattr(read, name) for name in read.__struct_fields__}

    def call(self, aggregate: Aggregate, arguments: dict[str, Any]) -> Any:
        """Run the command, and return its result.

        Raises:
            Exception: what the method raises.
        """
        positional = [arguments[each.name] for each in self.parameters if each.kind is each.POSITIONAL_ONLY]
        named = {each.name: arguments[each.name] for each in self.parameters if each.kind is not each.POSITIONAL_ONLY}
        return self.method(aggregate, *positional, **named)

    @cached_property
    def _codec(self) -> Codec:
        return codec_of(self.arguments_class)


def commands_of(aggregate_class: type[Aggregate]) -> dict[str, Command]:
    """Return the commands of a class that are open to users, by name, in the order of definition."""
    names = dict.fromkeys(name for base in reversed(aggregate_class.__mro__) for name in vars(base))
    found = {}
    for name in names:
        method = getattr(aggregate_class, name, None)
        if (permission := getattr(method, _MARK, None)) is not None:
            found[name] = Command(aggregate_class, name, permission, method)  # type: ignore[arg-type]
    return found


def commands_of_aggregate(aggregate_id: str) -> dict[str, Command]:
    """Return the commands of an aggregate that are open to users, by name.

    Args:
        aggregate_id: the whole id. An id without anything behind its category has no commands: a repository would take
            it for another aggregate, whose id it completes.
    """
    category, _, rest = aggregate_id.partition("-")
    found = next((each for each in aggregates.defined() if rest and each.category == category), None)
    return commands_of(found) if found else {}


def all_commands() -> list[Command]:
    """Return the commands of all aggregate classes that are open to users."""
    return [each for aggregate_class in aggregates.defined() for each in commands_of(aggregate_class).values()]


def create_permissions(using: str, apps: Apps = installed_apps, **kwargs: Any) -> None:
    """Create the permissions that commands name; a receiver of `post_migrate`."""
    try:
        permissions: Any = apps.get_model("auth", "Permission")
        types: Any = apps.get_model("contenttypes", "ContentType")
    except LookupError:
        return  # django.contrib.auth is not installed, or not migrated yet
    if not router.allow_migrate_model(using, permissions):
        return
    for each in all_commands():
        label, _, codename = each.permission.partition(".")
        if not codename or label not in installed_apps.app_configs:
            continue  # an error of `check`
        if permissions.objects.using(using).filter(content_type__app_label=label, codename=codename).exists():
            continue
        # A permission belongs to a model. One of the app is better than one that does not exist.
        model = next((model._meta.model_name for model in installed_apps.get_app_config(label).get_models()), None)
        content_type, _ = types.objects.using(using).get_or_create(
            app_label=label, model=model or each.aggregate_class.__name__.lower()
        )
        name = f"Can run the command {each.name} of {each.aggregate_class.category}"
        permissions.objects.using(using).create(content_type=content_type, codename=codename, name=name)
