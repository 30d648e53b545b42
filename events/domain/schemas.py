"""The JSON Schema of the payloads of an event type."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, get_args

import msgspec

from .codecs import members_of, own_codec
from .event_types import PayloadType

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_DEFINITIONS: Final = "#/$defs/"

Schema = dict[str, Any]

_MAX_EXAMPLE_DEPTH = 3  # a class may contain itself
_EXAMPLES_OF_FORMATS: Final = {
    "date": "2030-01-31",
    "date-time": "2030-01-31T12:30:00Z",
    "time": "12:30:00",
    "uuid": "6f1c2a34-5b6d-4e7f-8a9b-0c1d2e3f4a5b",
    "decimal": "1.50",
}


def schema_of(event_type: PayloadType) -> Schema:
    """Return the JSON Schema of the newest version of a type; the classes inside it are in its `$defs`.

    Raises:
        TypeError: a field has a class without a codec.
    """
    return schema_of_class(event_type.payload_class)


def schema_of_class(cls: Any) -> Schema:
    """Return the JSON Schema of a payload class, or of the arguments of a command.

    Raises:
        TypeError: a field has a class without a codec.
    """
    if hasattr(cls, "model_json_schema"):
        schema: Schema = cls.model_json_schema()
        return schema
    try:
        (root,), definitions = msgspec.json.schema_components(
            [cls], schema_hook=_schema_of_own, ref_template=f"{_DEFINITIONS}{{name}}"
        )
    except (TypeError, NameError) as error:
        raise TypeError(f"{cls.__module__}.{cls.__qualname__} has no JSON Schema: {error}") from error
    _mark_moments(root, cls, definitions, frozenset())
    name = root["$ref"].removeprefix(_DEFINITIONS)
    others = {each: definitions[each] for each in sorted(definitions) if each != name}
    if _refers_to(definitions, root["$ref"]):  # the class contains itself
        others[name] = definitions[name]
    return {**definitions[name], **({"$defs": others} if others else {})}


def problem_of(annotation: Any) -> str:
    """Return why values of a type have no form in JSON; empty if they have one."""
    try:
        msgspec.json.schema_components([annotation], schema_hook=_schema_of_own)
    except (TypeError, NameError) as error:
        return str(error)
    return ""


def components_of(event_type: PayloadType, name: str, ref_template: str) -> dict[str, Schema]:
    """Return the schema of a type as the component `name`; see `as_components`."""
    return as_components(schema_of(event_type), name, ref_template)


def as_components(schema: Schema, name: str, ref_template: str) -> dict[str, Schema]:
    """Return a schema as the component `name`, and those that it refers to under names that begin so.

    Two types may have different classes of one name, so the name of the class alone would not do.
    """

    def moved(part: Any) -> Any:
        if isinstance(part, Mapping):
            return {key: moved(value) for key, value in part.items()}
        if isinstance(part, list):
            return [moved(each) for each in part]
        if isinstance(part, str) and part.startswith(_DEFINITIONS):
            return ref_template.format(name=f"{name}.{part.removeprefix(_DEFINITIONS)}")
        return part

    whole: Schema = moved(schema)
    definitions = whole.pop("$defs", {})
    return {name: whole, **{f"{name}.{each}": definition for each, definition in definitions.items()}}


def resolved(part: Any, root: Mapping[str, Any]) -> Any:
    """Return the schema to which a part of a schema refers; the part itself if it does not refer to another.

    Raises:
        ValueError: it refers to itself, as no class does.
    """
    seen = set()
    while isinstance(part, Mapping) and "$ref" in part:
        if part["$ref"] in seen:
            raise ValueError(f"{part['$ref']} refers to itself")
        seen.add(part["$ref"])
        part = root.get("$defs", {}).get(part["$ref"].removeprefix(_DEFINITIONS), {})
    return part


def alternatives(part: Any, root: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the schemas of which data has to fit one."""
    part = resolved(part, root)
    if part is True:
        part = {}
    for key in ("anyOf", "oneOf"):
        if key in part:
            for each in part[key]:
                yield from alternatives(each, root)
            return
    if "allOf" in part and len(part["allOf"]) == 1:  # how pydantic adds a description to a reference
        yield from alternatives(part["allOf"][0], root)
    elif isinstance(part.get("type"), list):
        for each in part["type"]:
            yield {**part, "type": each}
    else:
        yield part


def is_nullable(part: Any, root: Mapping[str, Any]) -> bool:
    """Return whether a part of a schema allows null."""
    return any(each.get("type") == "null" for each in alternatives(part, root))


def example_of(part: Any, root: Mapping[str, Any], *, depth: int = 0) -> Any:
    """Return JSON data of the form that a part of a schema describes; patterns and lengths are not observed."""
    options = [each for each in alternatives(part, root) if each.get("type") != "null"]
    if not options:
        return None
    is_deep = depth >= _MAX_EXAMPLE_DEPTH
    chosen = options[0]
    if "enum" in chosen or "const" in chosen:
        return chosen["enum"][0] if "enum" in chosen else chosen["const"]
    kind = chosen.get("type")
    if kind == "object" or "properties" in chosen:
        properties = chosen.get("properties", {})
        if is_deep and is_nullable(part, root):
            return None
        if not properties and isinstance(values := chosen.get("additionalProperties"), Mapping):
            return {"name": example_of(values, root, depth=depth + 1)}
        return {name: example_of(each, root, depth=depth + 1) for name, each in properties.items()}
    if kind == "array":
        items = [] if is_deep or not chosen.get("items") else [chosen["items"]]
        members = chosen.get("prefixItems") or items
        return [example_of(each, root, depth=depth + 1) for each in members]
    if kind == "integer":
        return max(chosen.get("minimum", 1), chosen.get("exclusiveMinimum", 0) + 1)
    if kind == "string":
        return _EXAMPLES_OF_FORMATS.get(chosen.get("format"), "text")
    return {"number": 1.5, "boolean": True}.get(str(kind), {})


def _schema_of_own(cls: Any) -> Schema:
    if own := own_codec(cls):
        return dict(own.schema) or {"title": cls.__name__}  # msgspec takes an empty one for unknown
    if isinstance(cls, type) and issubclass(cls, Enum):  # Django's choices, which msgspec converts all the same
        return {"title": cls.__name__, "enum": [each.value for each in cls]}
    raise TypeError(f"{cls.__qualname__} has no codec; register one with events.domain.register_codec")


def _mark_moments(part: Any, annotation: Any, definitions: Mapping[str, Schema], seen: frozenset[Any]) -> None:
    """Give moments their format, which msgspec leaves out for the annotation `datetime`: payloads need a time zone."""
    while hasattr(annotation, "__metadata__"):  # Annotated
        annotation = get_args(annotation)[0]
    if annotation is datetime:
        if part.get("type") == "string":
            part["format"] = "date-time"
    elif "$ref" in part:
        definition = definitions[part["$ref"].removeprefix(_DEFINITIONS)]
        if annotation not in seen and definition.get("title") == getattr(annotation, "__name__", None):
            for name, member in members_of(annotation).items():
                _mark_moments(definition["properties"].get(name, {}), member, definitions, seen | {annotation})
    else:
        arguments = get_args(annotation)
        for child in part.get("anyOf", ()):
            for argument in (annotation,) if "anyOf" in child else arguments:
                _mark_moments(child, argument, definitions, seen)
        for child, argument in zip(part.get("prefixItems", ()), arguments, strict=False):
            _mark_moments(child, argument, definitions, seen)
        for key in ("items", "additionalProperties"):
            if arguments and isinstance(part.get(key), dict):
                _mark_moments(part[key], arguments[0 if key == "items" else -1], definitions, seen)


def _refers_to(part: Any, reference: str) -> bool:
    if isinstance(part, Mapping):
        return part.get("$ref") == reference or any(_refers_to(each, reference) for each in part.values())
    return isinstance(part, list) and any(_refers_to(each, reference) for each in part)
