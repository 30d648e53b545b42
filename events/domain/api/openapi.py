"""Event types and commands in the OpenAPI description: hooks of drf-spectacular for the settings of a project."""

import re
from typing import Any

from events.conf import conf
from events.domain.commands import Command, all_commands
from events.domain.event_types import by_name
from events.domain.schemas import as_components, components_of, schema_of_class

_COMPONENTS = "#/components/schemas/{name}"
_COMMAND = "/commands/{command}/"


def add_event_types(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Describe the data of each event type in the bodies of appends.

    Name it in `SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]`, after the hooks of drf-spectacular.
    """
    components = result.get("components", {}).get("schemas", {})
    for base in ("NewEvent", "NewEventHere"):
        if base in components and by_name():
            _add_to(components, base)
    result.get("components", {})["schemas"] = dict(sorted(components.items()))
    return result


def add_commands(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Describe each command that is open to users as an operation of its own, with its arguments as the body.

    Name it in `SPECTACULAR_SETTINGS["POSTPROCESSING_HOOKS"]`, after the hooks of drf-spectacular.
    """
    by_name: dict[str, list[Command]] = {}
    for command in all_commands():
        by_name.setdefault(command.name, []).append(command)
    paths = result.get("paths", {})
    if by_name:
        for path in [path for path in paths if path.endswith(_COMMAND)]:
            general = paths.pop(path)["post"]
            for name, commands in sorted(by_name.items()):
                paths[path.replace("{command}", name)] = {"post": _operation(general, name, commands, result)}
        result["paths"] = dict(sorted(paths.items()))
    return result


def _operation(general: dict[str, Any], name: str, commands: list[Command], result: dict[str, Any]) -> dict[str, Any]:
    """Return the operation of the commands of one name; aggregates of several categories may have one."""
    bodies = []
    for command in commands:
        component = f"{command.aggregate_class.__name__}.{name}"
        schema = schema_of_class(command.arguments_class)
        result["components"]["schemas"].update(as_components(schema, component, _COMPONENTS))
        bodies.append(_reference(component))
    categories = ", ".join(sorted(command.aggregate_class.category for command in commands))
    texts = [command.description for command in commands if command.description]
    return {
        **general,
        "operationId": f"{general['operationId']}_{name}",
        "summary": f"Run the command {name} of an aggregate of the category {categories}",
        "description": "\n\n".join([*texts, general.get("description", "")]).strip(),
        "parameters": [each for each in general["parameters"] if each["name"] != "command"],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}},
        },
    }


def _add_to(components: dict[str, Any], base: str) -> None:
    """Make the component `base`, a new event, one of: an event of each type, or of a type without a class."""
    untyped, choices, mapping = components[base], [], {}
    for event_type in by_name():
        name = re.sub(r"[^A-Za-z0-9._-]", "_", event_type.name)
        components.update(components_of(event_type, f"{name}Data", _COMPONENTS))
        typed = {"type": {"type": "string", "enum": list(event_type.names)}, "data": _reference(f"{name}Data")}
        components[f"{base}.{name}"] = {
            **untyped,
            "description": f"An event of the type {event_type.name}.",
            "properties": {**untyped["properties"], **typed},
            "required": sorted({*untyped.get("required", ()), "data"}),
        }
        choices.append(_reference(f"{base}.{name}"))
        mapping.update(dict.fromkeys(event_type.names, choices[-1]["$ref"]))
    if conf.unknown_types == "allow":
        without = {"allOf": [untyped["properties"]["type"], {"not": {"enum": list(mapping)}}]}
        components[f"{base}.Other"] = {**untyped, "properties": {**untyped["properties"], "type": without}}
        choices.append(_reference(f"{base}.Other"))
    components[base] = {"oneOf": choices, "discriminator": {"propertyName": "type", "mapping": mapping}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": _COMPONENTS.format(name=name)}
