"""The schema lock: a file beside each app with the schemas of its event types, and what the code may not change.

`event_schemas.json` has every version that the code has had, so a change of a class is compared with what is stored.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from django.apps import apps

from events.formats.outputs import unwritable, written

from .compatibility import incompatible_changes
from .event_types import PayloadType, defined
from .schemas import Schema, schema_of

FILE_NAME: Final = "event_schemas.json"
FORMAT: Final = 1
# What code that reads a file of another shape may raise.
_MALFORMED: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)
_NOTE: Final = "description"  # the docstring of a class, which says nothing of stored data

Entry = dict[str, Any]
Entries = dict[str, Entry]


class BrokenLock(Exception):
    """A lock file cannot be read, as after a conflict of two branches; the text says what to do."""


@dataclass
class Lock:
    """The lock files of a project, as they are and as the code needs them.

    Attributes:
        before, after: for each file, its text; None in `before`: there is no file, in `after`: none is needed.
        problems: what the code may not change, each with the ways out.
        homeless: the types of classes that belong to no installed app, and so to no file.
    """

    before: dict[Path, str | None] = field(default_factory=dict)
    after: dict[Path, str | None] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    homeless: list[PayloadType] = field(default_factory=list)

    @property
    def outdated(self) -> list[Path]:
        """The files that do not have what the code has."""
        return [path for path in sorted(self.after) if self.after[path] != self.before[path]]

    def write(self) -> list[Path]:
        """Write the files that are out of date, remove those that are not needed, and return them.

        Raises:
            Unwritable: a file cannot be written; it is as it was before.
        """
        changed = self.outdated
        for path in changed:
            text = self.after[path]
            if text is None:
                with unwritable(path):
                    path.unlink()
            else:
                with written(path) as file:
                    file.write(text.encode())
        return changed


def compare() -> Lock:
    """Compare the event types of this process with the lock files of the installed apps.

    Raises:
        BrokenLock: a file cannot be read.
        TypeError: a field of a payload has a class without a codec.
    """
    lock = Lock()
    places = {config.name: Path(config.path) / FILE_NAME for config in apps.get_app_configs()}
    known: Entries = {}
    where: dict[str, Path] = {}
    for path in places.values():
        lock.before[path] = _read(path)
        entries = _entries(path, lock.before[path])
        known.update(entries)
        where.update(dict.fromkeys(entries, path))
    new: defaultdict[Path, Entries] = defaultdict(dict)
    for event_type in defined():
        config = apps.get_containing_app_config(event_type.payload_class.__module__)
        if config is None:
            lock.homeless.append(event_type)
            continue
        path = places[config.name]
        names = [name for name in event_type.names if name in known]
        earlier = [known[name] for name in names]
        schema = _without_notes(schema_of(event_type))
        try:
            lock.problems += _problems(event_type, earlier, schema)
        except _MALFORMED as error:
            raise _broken(where[names[0]], error) from error
        new[path][event_type.name] = _entry(event_type, earlier, schema)
    lock.problems += _removed(where)
    lock.after = {path: _text(new[path]) if new[path] else None for path in places.values()}
    return lock


def _entry(event_type: PayloadType, earlier: Iterable[Entry], schema: Schema) -> Entry:
    versions: dict[int, Schema] = {}
    for entry in earlier:
        versions.update({int(version): schema for version, schema in entry["versions"].items()})
    versions[event_type.version] = schema
    return {
        "names": list(event_type.names),
        "version": event_type.version,
        "versions": {str(version): versions[version] for version in sorted(versions)},
    }


def _problems(event_type: PayloadType, earlier: Iterable[Entry], schema: Schema) -> list[str]:
    name, cls = event_type.name, event_type.payload_class.__name__
    found = [
        f"{name}: no upcaster makes version {version}. Write one: @upcasts({cls}, to={version})."
        for version in event_type.missing_upcasters
    ]
    for entry in earlier:
        if entry["version"] > event_type.version:
            found.append(
                f"{name}: the version is {event_type.version}, and the lock has version {entry['version']}, which may"
                f" be stored. Give {entry['version']} or more."
            )
        found += [
            f"{name}: the earlier name {lost} is missing. Add it to renamed_from, so that its events are still read."
            for lost in entry["names"]
            if lost not in event_type.names
        ]
        same = entry["versions"].get(str(event_type.version))
        changes = incompatible_changes(same, schema) if same else []
        if changes:
            way_out = (
                f"Raise the version to {event_type.version + 1} and write @upcasts({cls}, to={event_type.version + 1})"
            )
            default = ", or give the field a default" if any("default" in each for each in changes) else ""
            found += [f"{name} version {event_type.version}: {each}. {way_out}{default}." for each in changes]
    return found


def _removed(where: Mapping[str, Path]) -> list[str]:
    names = {name for event_type in defined() for name in event_type.names}
    return [
        f"{name}: no class has this event type any more. Put its class back, or name it in renamed_from of the class"
        f" that replaces it. If no such event is stored, remove it from {path}."
        for name, path in where.items()
        if name not in names
    ]


def _entries(path: Path, text: str | None) -> Entries:
    if text is None:
        return {}
    try:
        content = json.loads(text)
        if content["format"] != FORMAT:
            raise BrokenLock(f"{path} has the format {content['format']!r}; this code reads {FORMAT}")
        types: Entries = content["types"]
        for name, entry in types.items():
            if not _is_entry(entry):
                raise ValueError(f"the entry of {name} has other names, versions or schemas than a lock has")
    except _MALFORMED as error:
        raise _broken(path, error) from error
    return types


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(path, error) from error


def _is_entry(entry: Any) -> bool:
    names, version, versions = entry["names"], entry["version"], entry["versions"]
    return (
        isinstance(names, list)
        and all(isinstance(name, str) for name in names)
        and type(version) is int
        and all(number.isdecimal() and isinstance(schema, dict) for number, schema in versions.items())
    )


def _broken(path: Path, error: Exception) -> BrokenLock:
    return BrokenLock(
        f"{path} is not a lock of event schemas ({error}); restore it from version control, or solve its conflict"
    )


def _text(entries: Entries) -> str:
    content = {"format": FORMAT, "types": {name: entries[name] for name in sorted(entries)}}
    return json.dumps(content, indent=2, ensure_ascii=False, sort_keys=False) + "\n"


def _without_notes(schema: Any, *, is_of_names: bool = False) -> Any:
    """Return a schema without its descriptions; `is_of_names`: its keys are names of fields or classes."""
    if isinstance(schema, Mapping):
        return {key: _kept(key, value, is_of_names) for key, value in schema.items() if is_of_names or key != _NOTE}
    return [_without_notes(each) for each in schema] if isinstance(schema, list) else schema


def _kept(key: str, value: Any, is_of_names: bool) -> Any:
    if key == "default" and not is_of_names:
        return value
    return _without_notes(value, is_of_names=not is_of_names and key in ("properties", "$defs"))
