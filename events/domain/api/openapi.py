"""The event types in the OpenAPI description: a hook of drf-spectacular that the project names in its settings."""

import re
from typing import Any

from events.conf import conf
from events.domain.event_types import by_name
from events.domain.schemas import components_of

_COMPONENTS = "#/components/schemas/{name}"


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
