"""The catalogue of the event types: their fields, who appends them, who gets them, and how many are stored."""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import unwrap
from types import CodeType, FunctionType
from typing import Any

from events import decoding
from events.monitoring import consumers, statistics
from events.monitoring.consumers import Consumer

from . import aggregates
from .event_types import PayloadType, by_name
from .schemas import Schema, resolved, schema_of

# More than a store has types: the numbers are those of all types.
_ALL_TYPES = 1_000_000
_BEFORE_EVERY_EVENT = datetime(1, 1, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Field:
    """A field of a payload.

    Attributes:
        type: its type in words, such as `list of Line`.
        default: the JSON of its default; None if it has none.
    """

    name: str
    type: str
    default: str | None


@dataclass(frozen=True)
class Entry:
    """An event type in the catalogue.

    Attributes:
        description: the docstring of its class.
        appended_by: the commands of aggregates that record it, such as `Order.place`.
        applied_by: the aggregates whose state it changes.
        consumers: who gets its events.
    """

    event_type: PayloadType
    description: str
    fields: list[Field]
    appended_by: list[str]
    applied_by: list[str]
    consumers: list[Consumer]


@dataclass(frozen=True)
class Counts:
    """How many events of each type are stored, under all its names; an estimate in a large store."""

    by_name: Mapping[str, int]
    is_estimate: bool

    def shown(self, event_type: str) -> str:
        """Return the number of events of a type as text."""
        number = self.by_name.get(event_type, 0)
        if self.is_estimate:
            return f"about {number:,}" if number else "few or none"
        return f"{number:,}"


def entries(using: str) -> list[Entry]:
    """Return the event types with a payload class by name, with their consumers in a database."""
    return [_entry(each, using) for each in by_name()]


def counts(using: str, categories: Collection[str] | None = None) -> Counts:
    """Return how many events of each type are stored, of some categories or, with None, of all."""
    found = statistics.activity([_BEFORE_EVERY_EVENT], categories, using, types=_ALL_TYPES)
    numbers: dict[str, int] = {}
    for stored, number in found.by_type:
        newest = decoding.name_of(stored)
        numbers[newest] = numbers.get(newest, 0) + number
    return Counts(numbers, found.is_estimate)


def as_markdown(found: Collection[Entry], stored: Counts | None = None) -> str:
    """Return the catalogue as Markdown, with the numbers of stored events if they are given."""
    parts = ["# Event types\n"]
    for entry in found:
        event_type = entry.event_type
        facts = [f"Version {event_type.version} of `{event_type.place}`."]
        if event_type.names[1:]:
            facts.append(f"Earlier names: {', '.join(map(_code, event_type.names[1:]))}.")
        parts.append(f"## {_text(event_type.name)}\n\n{' '.join(facts)}\n")
        if entry.description:
            parts.append(f"{entry.description}\n")
        if entry.fields:
            rows = [f"| {_code(each.name)} | {_text(each.type)} | {_default(each)} |" for each in entry.fields]
            parts.append("\n".join(["| Field | Type | Default |", "|---|---|---|", *rows, ""]))
        lists = {
            "Appended by": entry.appended_by,
            "Applied by": entry.applied_by,
            "Subscribers": [each.name for each in entry.consumers if each.kind == "subscriber"],
            "Projections": [each.name for each in entry.consumers if each.kind == "projection"],
        }
        lines = [f"- {title}: {', '.join(map(_code, names))}" for title, names in lists.items() if names]
        if stored:
            lines.append(f"- Stored: {stored.shown(event_type.name)}")
        if lines:
            parts.append("\n".join([*lines, ""]))
    return "\n".join(parts)


def commands_that_record(event_type: PayloadType) -> list[str]:
    """Return the methods of aggregates whose code names the class of a type, except those that apply it."""
    return sorted(
        f"{aggregate.__qualname__.rpartition('.')[2]}.{name}"
        for aggregate in aggregates.defined()
        for name in dict.fromkeys(name for base in aggregate.__mro__ for name in vars(base))
        if isinstance(method := getattr(aggregate, name, None), FunctionType)
        and not hasattr(method, "applied_types")
        and event_type.payload_class in _named_by(unwrap(method))
    )


def _entry(event_type: PayloadType, using: str) -> Entry:
    schema = schema_of(event_type)
    return Entry(
        event_type=event_type,
        description=schema.get("description", ""),
        fields=[
            Field(name, _described(part, schema), _shown_default(part, name in schema.get("required", ())))
            for name, part in schema.get("properties", {}).items()
        ],
        appended_by=commands_that_record(event_type),
        applied_by=sorted(
            each.__qualname__.rpartition(".")[2] for each in aggregates.defined() if each.takes(event_type.name)
        ),
        consumers=consumers.of_type(event_type.name, using),
    )


def _named_by(function: Any) -> Iterator[Any]:
    """Yield what the code of a function names, in its module or around it."""
    around = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    for name in _names(function.__code__):
        if name in around:
            try:
                yield around[name].cell_contents
            except ValueError:  # not assigned yet
                continue
        elif name in function.__globals__:
            yield function.__globals__[name]


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _described(part: Any, root: Schema) -> str:
    """Return a schema in words."""
    if "$ref" in part:
        found = resolved(part, root)
        name = str(part["$ref"].rpartition("/")[2])
        return " or ".join(map(repr, found["enum"])) if "enum" in found else name
    if options := part.get("anyOf", part.get("oneOf")):
        return " or ".join(dict.fromkeys(_described(each, root) for each in options))
    if "enum" in part or "const" in part:
        return " or ".join(map(repr, part.get("enum", [part.get("const")])))
    if part.get("type") == "array":
        if "prefixItems" in part:
            return f"({', '.join(_described(each, root) for each in part['prefixItems'])})"
        return f"list of {_described(part['items'], root)}" if isinstance(part.get("items"), dict) else "list"
    if part.get("type") == "object" and isinstance(part.get("additionalProperties"), dict):
        return f"dictionary of {_described(part['additionalProperties'], root)}"
    bounds = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f" {sign} {part[key]}" for key, sign in bounds.items() if key in part]
    lengths = [f", {key} {part[key]}" for key in ("minLength", "maxLength", "pattern") if key in part]
    return str(part.get("format") or part.get("type") or "anything") + "".join(limits + lengths)


def _shown_default(part: Any, is_required: bool) -> str | None:
    if is_required:
        return None
    return json.dumps(part["default"], ensure_ascii=False) if "default" in part else "computed"


def _default(field: Field) -> str:
    return "required" if field.default is None else _code(field.default)


def _code(text: str) -> str:
    return f"`{text.replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _text(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
