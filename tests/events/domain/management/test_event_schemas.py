"""The command `event_schemas`: what it prints, and its exit codes."""

from io import StringIO
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command

from events.domain import DomainEvent
from events.testing import isolated_registry


def run(*arguments: str) -> str:
    output = StringIO()
    call_command("event_schemas", *arguments, stdout=output, stderr=output, skip_checks=True)
    return output.getvalue()


def test_check_fails_until_the_file_is_written_and_after_an_incompatible_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apps.get_app_config("readmodels"), "path", str(tmp_path))
    path = tmp_path / "event_schemas.json"
    with isolated_registry():

        class Placed(DomainEvent):
            __module__ = "tests.readmodels.domain"
            customer: str

        with pytest.raises(CommandError, match=f"Out of date: {path}. Run event_schemas, and commit") as outdated:
            run("--check")
        assert outdated.value.returncode == 1
        assert not path.exists()
        assert run() == f"Wrote {path}\n"
        assert run("--check") == run() == "The event schemas are up to date.\n"
    before = path.read_text()
    with isolated_registry():

        class Placed(DomainEvent):  # type: ignore[no-redef]
            __module__ = "tests.readmodels.domain"

        for arguments in (["--check"], []):  # what --check rejects is not written either
            with pytest.raises(CommandError, match="1 change would make stored events unreadable") as rejected:
                run(*arguments)
            assert rejected.value.returncode == 1
        assert path.read_text() == before
    path.write_text("<<<<<<<")
    with pytest.raises(CommandError, match="is not a lock of event schemas"):
        run()


def test_type_outside_of_every_app_is_named() -> None:
    class Homeless(DomainEvent):
        pass

    assert "Homeless belongs to no installed app, so no file has its schema." in run("--check")
