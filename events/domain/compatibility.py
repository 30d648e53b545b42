"""Whether data that was stored under one JSON Schema can be read under another."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from .schemas import Schema, alternatives

# Constraints of which a higher value, or a lower one, allows less.
_LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_OTHER_CONSTRAINTS: Final = ("format", "pattern", "multipleOf", "uniqueItems", "contentEncoding")


def incompatible_changes(before: Schema, after: Schema) -> list[str]:
    """Return what stored data may no longer fit, or would lose, each with the path of the field; [] if it all fits.

    Compatible are a new field with a default, a field that becomes optional, and a type or a constraint that allows
    more. A schema that this cannot compare counts as changed.
    """
    return list(dict.fromkeys(_Comparison(before, after).changes(before, after, "data", frozenset())))


class _Comparison:
    def __init__(self, before: Schema, after: Schema) -> None:
        self._before, self._after = before, after

    def changes(self, before: Any, after: Any, path: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
        """Yield the changes between two parts of the schemas."""
        olds = list(alternatives(before, self._before))
        news = list(alternatives(after, self._after))
        for old in olds:
            pair = [(id(old), id(new)) for new in news]
            if any(each in seen for each in pair):  # a class that contains itself
                continue
            found = [list(self._one(old, new, path, seen.union(pair))) for new in news]
            if not all(found):
                continue
            same_kind = [
                each
                for each, new in zip(found, news, strict=True)
                if _kind(new) == _kind(old) and _tag(new) == _tag(old)
            ]
            if len(same_kind) == 1:
                yield from same_kind[0]
            elif len(olds) == len(news) == 1:
                yield f"{path}: the type changed from {_described(old)} to {_described(news[0])}"
            else:
                yield f"{path}: {_described(old)} is not allowed any more"

    def _one(self, old: Any, new: Any, path: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
        if new in ({}, True) or _without_notes(new) == {}:
            return
        if "const" in old and "const" in new:
            if old["const"] != new["const"]:
                yield f"{path}: {old['const']!r} is not allowed any more"
        elif _members(old) is not None:
            yield from self._members_changes(old, new, path)
        elif _members(new) is not None or (
            _kind(old) != _kind(new) and (_kind(old), _kind(new)) != ("integer", "number")
        ):
            yield f"{path}: the type changed from {_described(old)} to {_described(new)}"
        else:
            yield from _narrowed(old, new, path)
            yield from self._object(old, new, path, seen)
            yield from self._array(old, new, path, seen)

    def _members_changes(self, old: Any, new: Any, path: str) -> Iterator[str]:
        olds, news = _members(old) or [], _members(new)
        if news is None:
            if any(_kind({"const": each}) != _kind(new) for each in olds) or "format" in new or "pattern" in new:
                yield f"{path}: the type changed from {_described(old)} to {_described(new)}"
            return
        for member in olds:
            if member not in news:
                yield f"{path}: {member!r} is not allowed any more"

    def _object(self, old: Any, new: Any, path: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
        olds, news = old.get("properties", {}), new.get("properties", {})
        others, required = new.get("additionalProperties", True), set(new.get("required", ()))
        for name in olds:
            if name in news:
                yield from self.changes(olds[name], news[name], f"{path}.{name}", seen)
            elif isinstance(others, Mapping):
                yield from self.changes(olds[name], others, f"{path}.{name}", seen)
            else:
                yield f"{path}.{name}: the field was removed"
        for name in news:
            if name in required and name not in olds:
                yield f"{path}.{name}: the field was added without a default"
            elif name in required and name not in old.get("required", ()):
                yield f"{path}.{name}: the field lost its default"
        if "properties" not in old and "additionalProperties" in old:
            if isinstance(others, Mapping) and isinstance(old["additionalProperties"], Mapping):
                yield from self.changes(old["additionalProperties"], others, f"{path}.*", seen)
            elif "properties" in new:
                yield f"{path}: the type changed from {_described(old)} to {_described(new)}"
        if others is False and old.get("additionalProperties", True) is not False:
            yield f"{path}: unknown fields are not allowed any more"

    def _array(self, old: Any, new: Any, path: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
        olds, news = old.get("prefixItems", []), new.get("prefixItems", [])
        rest_before, rest_after = old.get("items", True), new.get("items", True)
        for index in range(max(len(olds), len(news))):
            before = olds[index] if index < len(olds) else rest_before
            after = news[index] if index < len(news) else rest_after
            if before is not False and after is not False:  # the numbers of items are constraints
                yield from self.changes(before, after, f"{path}[{index}]", seen)
        if rest_before is not False and rest_after is not False:
            yield from self.changes(rest_before, rest_after, f"{path}[*]", seen)


def _readable_as(kind: str) -> set[tuple[str, str]]:
    return {(kind, kind), ("integer", "number")}


def _narrowed(old: Any, new: Any, path: str) -> Iterator[str]:
    for names, sign in ((_LOWER_BOUNDS, 1), (_UPPER_BOUNDS, -1)):
        for name in names:
            if name in new and (name not in old or sign * new[name] > sign * old[name]):
                was = f"was {old[name]}" if name in old else "is new"
                yield f"{path}: {name} {new[name]} allows less; it {was}"
    for name in _OTHER_CONSTRAINTS:
        if name in new and new[name] != old.get(name):
            was = f"was {old[name]!r}" if name in old else "is new"
            yield f"{path}: {name} {new[name]!r} allows less; it {was}"


def _members(part: Any) -> list[Any] | None:
    if "const" in part:
        return [part["const"]]
    return list(part["enum"]) if "enum" in part else None


def _kind(part: Any) -> str:
    """Return the JSON type of a schema; of an enumeration, that of its first member."""
    if isinstance(part.get("type"), str):
        return str(part["type"])
    members = _members(part)
    if members:
        kinds = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
        return kinds.get(type(members[0]), "object")
    return "object" if "properties" in part or "additionalProperties" in part else "anything"


def _tag(part: Any) -> Any:
    """Return the name by which a class of a tagged union is told from the others."""
    return _members(part.get("properties", {}).get("type", {}))


def _described(part: Any) -> str:
    if (members := _members(part)) is not None:
        return " or ".join(repr(each) for each in members)
    kind = _kind(part)
    return str(part.get("title" if kind == "object" else "format", kind))


def _without_notes(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if key not in ("title", "description", "default", "examples")}
