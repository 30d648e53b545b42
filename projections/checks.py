"""System checks: they report mistakes in projections when the project starts, before the first event."""

import inspect
import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.apps import apps
from django.core import checks
from django.core.checks import CheckMessage, Error, Tags, register
from django.db import models, router

from events import decoding
from events.checks import isolation_level, setting_messages
from events.exceptions import InvalidEvent
from events.routing import database
from events.setting_kinds import DELAYS
from events.types import ALL
from events.validation import check_name

from . import registry
from .base import Kind, Mode, OnError, Projection, Start, with_links
from .conf import conf
from .engine import registration
from .models import ProjectionState
from .models.state import NAME_CHARACTERS

MAX_SHARDS = 64


@register()
def check_settings(**kwargs: Any) -> list[CheckMessage]:
    """Check the values of the settings `PROJECTIONS_…`, and warn of names that resemble one of them."""
    return setting_messages(conf, error_id="projections.E014", warning_id="projections.W004")


@register()
def check_projections(**kwargs: Any) -> list[CheckMessage]:
    """Check every registered projection."""
    classes = registry.registered()
    twice = [name for name, count in Counter(getattr(cls, "name", None) for cls in classes).items() if count > 1]
    return [
        Error(f"{cls.__module__}.{cls.__qualname__}: {problem}.", hint=hint, obj=cls, id=f"projections.{number}")
        for cls in classes
        for number, problem, hint in _problems(cls, twice)
    ]


@register()
def check_owners(**kwargs: Any) -> list[CheckMessage]:
    """Warn of projections that list models of other apps: a rebuild replaces every row of these models."""
    return [
        checks.Warning(
            f"{cls.__module__}.{cls.__qualname__}: its model {model._meta.label} belongs to another app.",
            hint="A rebuild removes every row that the projection does not write. Check that no other code writes any.",
            obj=cls,
            id="projections.W003",
        )
        for cls in registry.registered()
        for model in (cls.models if _is_list(cls.models) else ())
        if _is_model(model)
        and (app := apps.get_containing_app_config(cls.__module__))
        and model._meta.app_label != app.label
    ]


@register()
def check_links(**kwargs: Any) -> list[CheckMessage]:
    """Warn of many-to-many fields whose rows a rebuild would write beside those that are served."""
    fields = [
        (cls, field, field.remote_field.through)
        for cls in registry.registered()
        for model in (filter(_is_model, cls.models) if _is_list(cls.models) else ())
        for field in model._meta.local_many_to_many
    ]
    return [
        checks.Warning(
            f"{cls.__module__}.{cls.__qualname__}: the rows of {field} are in {through._meta.label}, which its models"
            " do not contain.",
            hint=f"If the projection writes them, list {through.__qualname__}: a rebuild fills copies of models.",
            obj=cls,
            id="projections.W005",
        )
        for cls, field, through in fields
        if through and not through._meta.auto_created and through not in cls.models
    ]


@register()
def check_isolation_level(**kwargs: Any) -> list[CheckMessage]:
    """Check that transactions see rows that commit while they run.

    Passes, rebuilds and operations wait for each other's locks, and then read what the others have committed.
    """
    if (level := isolation_level()) is None:
        return []
    return [
        Error(
            f"Projections cannot be updated safely in {level} transactions.",
            hint="Remove isolation_level from the database's OPTIONS; single transactions may set another level.",
            id="projections.E013",
        )
    ]


@register(Tags.database)
def check_versions(databases: Sequence[str] | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Warn of projections whose rows have another version than the code, and of projections without code."""
    using = database()
    if using not in (databases or ()) or not registration.is_migrated():
        return []
    stored = {state.name: state for state in ProjectionState.objects.using(using)}
    here = {cls.name: cls for cls in registry.registered() if hasattr(cls, "name")}
    rebuild = [
        checks.Warning(
            f"Projection {name!r} is version {cls.version} ({cls.mode}) in the code, but the rows that it serves are"
            f" of version {stored[name].version} ({stored[name].mode}), and are not updated.",
            hint=f"Run: manage.py rebuild_projection {name}",
            id="projections.W001",
        )
        for name, cls in here.items()
        if name in stored and (stored[name].version, stored[name].mode) != (cls.version, cls.mode)
    ]
    orphaned = [
        checks.Warning(
            f"Projection {name!r} has a checkpoint, but its code is gone.",
            hint=f"Register it again, or remove its checkpoint: manage.py forget_projection {name}",
            id="projections.W002",
        )
        for name in sorted(stored.keys() - here.keys())
    ]
    return [*rebuild, *orphaned]


def _problems(cls: type[Projection], twice: Sequence[Any]) -> Iterator[tuple[str, str, str]]:
    name = getattr(cls, "name", None)
    if not isinstance(name, str) or not re.fullmatch(f"[a-z][a-z0-9_]{{0,{NAME_CHARACTERS - 1}}}", name):
        hint = f"Set name to at most {NAME_CHARACTERS} of the characters a-z, 0-9 and _, beginning with a letter."
        yield "E001", f"its name is {name!r}" if name is not None else "it has no name", hint
    elif name in twice:
        yield "E002", f"another projection has the name {name!r} too", "Rename one: a name identifies a checkpoint."
    if type(cls.version) is not int or cls.version < 1:
        yield "E003", f"its version is {cls.version!r}", "Give a whole number from 1 up."
    for attribute, kind in {"mode": Mode, "on_error": OnError, "start": Start}.items():
        if not isinstance(getattr(cls, attribute), kind):
            choices = " or ".join(member.name for member in kind)
            yield "E004", f"its {attribute} is {getattr(cls, attribute)!r}", f"Give {choices}, from projections.base."
    if type(cls.shards) is not int or not 1 <= cls.shards <= MAX_SHARDS:
        yield "E005", f"its shards are {cls.shards!r}", f"Give a whole number from 1 to {MAX_SHARDS}."
    if type(cls.batch_events) is not int or cls.batch_events < 1:
        yield "E005", f"its batch_events are {cls.batch_events!r}", "Give a whole number from 1 up."
    delays = cls.retry_delays_seconds
    if delays is not None and any(DELAYS.mistakes(delays)):
        yield "E005", f"its retry_delays_seconds are {delays!r}", "Give a list of numbers of seconds, each from 0 up."
    errors = cls.deterministic_errors
    if not isinstance(errors, tuple) or not all(isinstance(e, type) and issubclass(e, BaseException) for e in errors):
        yield "E005", f"its deterministic_errors are {errors!r}", "Give a tuple of exception classes."
    lists = {"models": cls.models, "types": cls.given_types()}
    wrong = [name for name, given in lists.items() if not _is_list(given or ())]
    for name in wrong:
        yield "E012", f"its {name} are {getattr(cls, name)!r}", "Give a list."
    if wrong:
        return
    yield from _handler_problems(cls)
    yield from _model_problems(cls)
    if cls.kind is Kind.REACTION:
        yield from _reaction_problems(cls)


def _handler_problems(cls: type[Projection]) -> Iterator[tuple[str, str, str]]:
    marks = list(cls.marked_handlers())
    if cls.works_on_sets():
        if marks:
            yield "E006", f"it has project_batch, so its handler {marks[0][1]}() is never called", "Remove one of them."
        if cls.types is not None and not cls.types:
            yield "E007", f"its types are {cls.types!r}", "Give a list of event types, or None for all."
            return
        wanted: list[Any] = list(cls.given_types() or ())
    else:
        wanted = [event_type for event_type, _ in marks if event_type is not ALL]
        if not marks:
            yield "E006", "it handles nothing", "Mark methods with @handles('EventType'), or give it project_batch()."
        if cls.types is not None:
            yield "E007", "its types have no effect, because it has no project_batch", "Name the types in @handles."
    # `@handles()` without a type leaves the attribute empty, so `marked_handlers` does not yield the method.
    for name in dir(cls):
        if getattr(inspect.getattr_static(cls, name), "handled_types", None) == ():
            yield "E006", f"its handler {name}() has no event type", "Name one: @handles('EventType'), or ALL."
    for event_type in wanted:
        try:
            check_name("type", decoding.name_of(event_type))
        except InvalidEvent as error:
            yield (
                "E007",
                f"it handles {event_type!r}, which is not an event type: {error.reason}",
                "Give an event type.",
            )
    methods = ["project_batch"] if cls.works_on_sets() else dict.fromkeys(method for _, method in marks)
    for method in methods:
        function = inspect.unwrap(getattr(cls, method))
        if inspect.iscoroutinefunction(function) or inspect.isgeneratorfunction(function):
            yield "E008", f"{method}() is async or a generator, so a call does nothing", "Make it a plain method."
        try:
            inspect.signature(getattr(cls, method)).bind(None, None, *cls._further_arguments)
        except TypeError:
            taken = ", ".join(("self", "events" if cls.works_on_sets() else "event", *cls._further_arguments))
            yield (
                "E008",
                f"{method}() does not accept the arguments it is called with",
                f"Define it as {method}({taken}).",
            )


def _reaction_problems(cls: type[Projection]) -> Iterator[tuple[str, str, str]]:
    if cls.mode is not Mode.ASYNC:
        yield "E016", "it is a reaction, and its mode is not ASYNC", "Leave mode out: workers run reactions."
    if cls.version != 1:
        hint = "Leave version out: a reaction is never rebuilt. To handle events again, run rewind_reaction."
        yield "E016", "it is a reaction, and has a version", hint
    if cls.models:
        hint = "Leave models out: the handlers may write to any model of this database, and no rebuild replaces rows."
        yield "E016", "it is a reaction, and lists models", hint


def _model_problems(cls: type[Projection]) -> Iterator[tuple[str, str, str]]:
    for model in cls.models:
        if not _is_model(model) or model._meta.abstract:
            yield "E009", f"its models contain {model!r}, which is no model", "List Django models that have tables."
        elif router.db_for_write(model) != database():
            hint = "Route the model to the events' database: one transaction writes both."
            yield "E010", f"{model._meta.label} is in another database than the events", hint
        elif not model._meta.managed or model._meta.proxy:
            yield "E009", f"{model._meta.label} has no table of its own", "List managed models that are no proxies."
        elif '"' in model._meta.db_table:
            table = model._meta.db_table
            hint = (
                "Give db_table without quotes and schema, and put the schema into the search_path of the role: a"
                " rebuild runs the handlers on tables of the same names in another schema."
            )
            yield "E015", f"the table of {model._meta.label}, {table}, is named with quotes or a schema", hint
        elif parents := [each for each in model._meta.parents if each not in cls.models]:
            label = parents[0].__name__
            yield "E009", f"{model._meta.label} inherits columns from {label}", f"List {label} before it."
    for model, count in Counter(cls.models).items():
        if count > 1:
            yield "E011", f"its models contain {model!r} more than once", "List each model once."
    others = {
        other.__qualname__: with_links(filter(_is_model, other.models))
        for other in registry.registered()
        if other is not cls and _is_list(other.models)
    }
    for model in with_links(filter(_is_model, cls.models)):
        if owners := [name for name, models in others.items() if model in models]:
            shared = str(getattr(model, "__qualname__", model))
            hint = "Let one projection write each table: a rebuild replaces all its rows."
            yield "E011", f"its model {shared} also belongs to {', '.join(owners)}", hint


def _is_model(value: Any) -> bool:
    return isinstance(value, models.base.ModelBase) and hasattr(value, "_meta")


def _is_list(value: Any) -> bool:
    return isinstance(value, Collection) and not isinstance(value, str)
