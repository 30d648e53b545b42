"""The lock of event schemas: what it accepts, what it rejects with which way out, and its file."""

import json
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import msgspec
import pytest
from django.apps import apps

from events.domain import DomainEvent, locks, upcasts
from events.formats.outputs import Unwritable
from events.testing import isolated_registry

PLACED = {"customer": str, "qty": int}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock file of an app that is empty at first."""
    monkeypatch.setattr(apps.get_app_config("readmodels"), "path", str(tmp_path))
    return tmp_path / "event_schemas.json"


def define(name: str, fields: dict[str, Any], **options: Any) -> Any:
    """Define an event type in the app; a value that is a tuple has a default."""
    defaults = {key: value[1] for key, value in fields.items() if isinstance(value, tuple)}
    annotations = {key: value[0] if isinstance(value, tuple) else value for key, value in fields.items()}
    body = {"__module__": "tests.readmodels.domain", "__annotations__": annotations, **defaults}
    return type(DomainEvent)(name, (DomainEvent,), body, **options)


def locked(name: str = "Placed", fields: dict[str, Any] = PLACED, **options: Any) -> None:
    """Write the lock as the code was before."""
    with isolated_registry():
        define(name, fields, **options)
        lock = locks.compare()
        assert not lock.problems
        lock.write()


def test_file_is_stable_sorted_and_written_once(path: Path) -> None:
    define("Placed", PLACED)
    define("Cancelled", {})
    lock = locks.compare()
    assert (lock.problems, lock.outdated, lock.write()) == ([], [path], [path])
    text = path.read_text()
    content = json.loads(text)
    assert text.endswith("}\n")
    assert content["format"] == 1
    assert [*content["types"]] == ["Cancelled", "Placed"]
    assert content["types"]["Placed"]["versions"]["1"]["required"] == ["customer", "qty"]
    again = locks.compare()
    assert (again.problems, again.outdated, again.write()) == ([], [], [])


@pytest.mark.parametrize(
    "fields",
    [
        {**PLACED, "note": (str, "")},
        {**PLACED, "qty": int | None},
        {**PLACED, "qty": (int, 1)},
        {**PLACED, "qty": int | str},
    ],
)
def test_change_that_stored_events_fit_only_needs_the_file_again(path: Path, fields: dict[str, Any]) -> None:
    locked()
    define("Placed", fields)
    lock = locks.compare()
    assert (lock.problems, lock.outdated) == ([], [path])


@pytest.mark.parametrize(
    ("fields", "change"),
    [
        ({"customer": str}, "data.qty: the field was removed"),
        ({**PLACED, "note": str}, "data.note: the field was added without a default"),
        ({**PLACED, "qty": str}, "data.qty: the type changed from integer to string"),
        ({**PLACED, "qty": Annotated[int, msgspec.Meta(ge=1)]}, "data.qty: minimum 1 allows less; it is new"),
    ],
)
def test_change_that_stored_events_do_not_fit_needs_a_new_version(
    path: Path, fields: dict[str, Any], change: str
) -> None:
    locked()
    with isolated_registry():
        define("Placed", fields)
        (problem,) = locks.compare().problems
    default = ", or give the field a default" if "default" in change else ""
    assert problem == (f"Placed version 1: {change}. Raise the version to 2 and write @upcasts(Placed, to=2){default}.")
    placed = define("Placed", fields, version=2)
    (problem,) = locks.compare().problems
    assert problem == "Placed: no upcaster makes version 2. Write one: @upcasts(Placed, to=2)."
    upcasts(placed, to=2)(dict)
    lock = locks.compare()
    assert not lock.problems
    lock.write()
    assert [*json.loads(path.read_text())["types"]["Placed"]["versions"]] == ["1", "2"]


def test_type_that_is_gone_or_renamed_without_its_earlier_name_is_a_problem(path: Path) -> None:
    locked()
    (problem,) = locks.compare().problems
    assert problem == (
        "Placed: no class has this event type any more. Put its class back, or name it in renamed_from of the class"
        f" that replaces it. If no such event is stored, remove it from {path}."
    )
    define("Ordered", PLACED, renamed_from=["Placed"])
    lock = locks.compare()
    lock.write()
    (entry,) = json.loads(path.read_text())["types"].values()
    assert (lock.problems, entry["names"], [*entry["versions"]]) == ([], ["Ordered", "Placed"], ["1"])


def test_earlier_name_and_higher_version_may_not_get_lost(path: Path) -> None:
    with isolated_registry():
        upcasts(define("Placed", PLACED, version=2, renamed_from=["Put"]), to=2)(dict)
        locks.compare().write()
    define("Placed", PLACED)
    higher, lost = locks.compare().problems
    assert higher.startswith(
        "Placed: the version is 1, and the lock has version 2, which may be stored. Give 2 or more."
    )
    assert lost.startswith("Placed: the earlier name Put is missing. Add it to renamed_from")


def test_type_of_another_app_moves_to_the_file_of_that_app(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked()
    other = path.parent / "other"
    other.mkdir()
    monkeypatch.setattr(apps.get_app_config("projections"), "path", str(other))
    define("Placed", PLACED).__module__ = "projections.domain"
    lock = locks.compare()
    assert not lock.problems
    lock.write()
    assert not path.exists()
    assert "Placed" in json.loads((other / "event_schemas.json").read_text())["types"]


def test_type_outside_of_every_app_has_no_file() -> None:
    class Homeless(DomainEvent):
        pass

    lock = locks.compare()
    assert [each.name for each in lock.homeless] == ["Homeless"]
    assert not lock.outdated


@pytest.mark.parametrize("text", ["<<<<<<< HEAD", "[]", "{}", '{"format": 1, "types": {"A": {}}}', '{"format": 2}'])
def test_file_that_cannot_be_read_is_named(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(locks.BrokenLock, match=r"event_schemas\.json"):
        locks.compare()


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1"},
        {"version": 1.5},
        {"version": True},
        {"names": "Placed"},
        {"names": [None]},
        {"versions": []},
        {"versions": {"x": {}}},
        {"versions": {"1": 5}},
        {"versions": {"1": {"properties": None, "type": "object"}}},
        {"versions": {"1": {"properties": {"qty": None}, "type": "object"}}},
        {"versions": {"1": {"properties": {"qty": {"$ref": 5}}, "type": "object"}}},
        {
            "versions": {
                "1": {
                    "properties": {"qty": {"$ref": "#/$defs/A"}},
                    "type": "object",
                    "$defs": {"A": {"$ref": "#/$defs/A"}},
                }
            }
        },
        {
            "versions": {
                "1": {
                    "properties": {"qty": {"$ref": "#/$defs/A"}},
                    "type": "object",
                    "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}]}},
                }
            }
        },
    ],
    ids=range(13),
)
def test_entry_of_another_shape_is_named(path: Path, changed: dict[str, Any]) -> None:
    locked()
    content = json.loads(path.read_text())
    content["types"]["Placed"].update(changed)
    path.write_text(json.dumps(content))
    define("Placed", PLACED)
    with pytest.raises(locks.BrokenLock, match=r"event_schemas\.json is not a lock of event schemas"):
        locks.compare()


@pytest.mark.parametrize("content", [b"\xff\xfe", b"[" * 100_000], ids=["not UTF-8", "deep"])
def test_bytes_that_are_no_json_are_named(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(locks.BrokenLock, match=r"event_schemas\.json is not a lock"):
        locks.compare()


def test_folder_in_place_of_the_file_is_named(path: Path) -> None:
    path.mkdir()
    with pytest.raises(locks.BrokenLock, match=r"event_schemas\.json is not a lock"):
        locks.compare()


def test_full_disk_leaves_the_file_as_it_was(path: Path) -> None:
    locked()
    before = path.read_bytes()
    define("Placed", {**PLACED, "note": (str, "")})
    lock = locks.compare()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(Unwritable, match=r"event_schemas\.json cannot be written: File too large"):
            lock.write()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


def test_description_of_a_class_is_not_locked(path: Path) -> None:
    define("Placed", {"description": str, "title": str}).__doc__ = "What a customer ordered."
    locks.compare().write()
    schema = SimpleNamespace(**json.loads(path.read_text())["types"]["Placed"]["versions"]["1"])
    assert [*schema.properties] == ["description", "title"]
    assert not hasattr(schema, "description")
