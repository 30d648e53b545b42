"""The tests mirror the modules: `events/storage/writer.py` is tested in `tests/events/storage/test_writer.py`."""

from pathlib import Path

import pytest

from tests import ROOT

# Modules that hold no behaviour of their own, each with the reason why no test file has its name.
EXCEPTIONS = {
    "events/api/serializers.py": "describes bodies for the schema: tests/events/api/test_schema.py",
    "projections/api/serializers.py": "describes bodies for the schema, as that of events",
    "events/domain/api/serializers.py": "describes bodies for the schema, as that of events",
    "events/domain/models.py": "tables without behaviour: tests/events/domain/test_snapshots.py and test_answers.py",
    "events/domain/apps.py": "imports the modules of types: tests/events/domain/test_event_types.py",
    "events/apps.py": "connects receivers and registers checks: tests/events/test_authorization.py and test_checks.py",
    "projections/apps.py": "registers projections: tests/projections/engine/test_registration.py",
}
FOLDERS = {"migrations", "commands"}  # migrations are run by every test; commands have their tests in `management`
NAMES = {"__init__", "urls"}  # every request goes through the addresses


def modules() -> list[str]:
    found = [path.relative_to(ROOT) for app in ("events", "projections") for path in (ROOT / app).rglob("*.py")]
    return sorted(str(path) for path in found if path.stem not in NAMES and not FOLDERS & set(path.parts))


def file_for(module: str) -> Path:
    path = Path(module)
    return ROOT / "tests" / path.with_name(f"test_{path.name}")


@pytest.mark.parametrize("module", modules())
def test_module_has_a_test_file(module: str) -> None:
    path = file_for(module)
    has_tests = path.exists() and "\ndef test_" in path.read_text(encoding="utf-8").replace(
        "    def test_", "\ndef test_"
    )
    if module in EXCEPTIONS:
        assert not has_tests, f"{module} is tested in {path}: it is no exception any more"
    else:
        assert has_tests, f"{module} has no tests in {path}; write some, or say here why there are none"


def test_exceptions_are_modules() -> None:
    assert EXCEPTIONS.keys() <= set(modules())
