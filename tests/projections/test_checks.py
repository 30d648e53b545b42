"""Mistakes in projections are told when the project starts, all at once."""

import re
import sys
from typing import Any

import pytest
from django.apps.registry import Apps
from django.contrib.auth.models import User
from django.db import models

from events.types import ALL
from projections import registry
from projections.base import INLINE, Projection, handles
from projections.checks import check_links, check_owners, check_projections, check_versions
from projections.models import ProjectionState
from tests import ROOT
from tests.ownproject import run
from tests.readmodels.models import Box, Crate, Label, Owning, Total
from tests.readmodels.projections import Tally


def described(**attributes: Any) -> type[Projection]:
    """A projection without a fault, but for what is named."""
    good: dict[str, Any] = {"name": "good", "note": handles("Noted")(lambda self, event: None)}
    given = {key: value for key, value in (good | attributes).items() if value is not ...}
    return type("Described", (Projection,), given)


def found(*classes: type[Projection], monkeypatch: pytest.MonkeyPatch) -> list[tuple[str | None, str]]:
    monkeypatch.setattr(registry, "_classes", list(classes))
    return [((each.id or "").partition(".")[2], each.msg) for each in check_projections()]


async def ahandler(self: Any, event: Any) -> None: ...


def on_sets(self: Any, events: Any) -> None: ...


def in_schema(db_table: str) -> Any:
    meta = type("Meta", (), {"app_label": "readmodels", "db_table": db_table, "apps": Apps()})
    return type("Elsewhere", (models.Model,), {"__module__": __name__, "Meta": meta})


def proxy_of_total() -> Any:
    meta = type("Meta", (), {"app_label": "readmodels", "proxy": True, "apps": Apps()})
    return type("ProxyOfTotal", (Total,), {"__module__": __name__, "Meta": meta})


@pytest.mark.parametrize(
    ("attributes", "number", "message"),
    [
        ({"name": ...}, "E001", "it has no name"),
        ({"name": "Two Words"}, "E001", "its name is 'Two Words'"),
        ({"name": "n" * 41}, "E001", "its name is"),
        ({"version": 0}, "E003", "its version is 0"),
        ({"mode": "sync"}, "E004", "its mode is 'sync'"),
        ({"on_error": "ignore"}, "E004", "its on_error is 'ignore'"),
        ({"start": 5}, "E004", "its start is 5"),
        ({"shards": 0}, "E005", "its shards are 0"),
        ({"shards": 65}, "E005", "its shards are 65"),
        ({"batch_events": 0}, "E005", "its batch_events are 0"),
        ({"retry_delays_seconds": [-1]}, "E005", "its retry_delays_seconds are [-1]"),
        ({"deterministic_errors": (KeyError, "x")}, "E005", "its deterministic_errors are (<class 'KeyError'>, 'x')"),
        ({"deterministic_errors": KeyError}, "E005", "its deterministic_errors are <class 'KeyError'>"),
        ({"note": ...}, "E006", "it handles nothing"),
        ({"note": handles()(lambda self, event: None)}, "E006", "its handler note() has no event type"),
        ({"project_batch": on_sets}, "E006", "its handler note() is never called"),
        ({"note": handles("")(lambda self, event: None)}, "E007", "it handles ''"),
        ({"note": handles(5)(lambda self, event: None)}, "E007", "it handles 5"),  # type: ignore[arg-type]
        ({"types": ["A"]}, "E007", "its types have no effect, because it has no project_batch"),
        ({"note": ..., "project_batch": on_sets, "types": "A"}, "E012", "its types are 'A'"),
        ({"note": ..., "project_batch": on_sets, "types": []}, "E007", "its types are []"),
        ({"note": ..., "project_batch": on_sets, "types": dict}, "E007", "the class dict is not registered"),
        ({"note": handles("A")(lambda self: None)}, "E008", "note() does not accept the arguments it is called with"),
        (
            {"note": ..., "project_batch": lambda self: None},
            "E008",
            "project_batch() does not accept the arguments it is called with",
        ),
        ({"note": handles("A")(ahandler)}, "E008", "note() is async or a generator"),
        ({"models": Total}, "E012", "its models are"),
        ({"models": [Total, Total]}, "E011", "more than once"),
        ({"retry_delays_seconds": 5}, "E005", "its retry_delays_seconds are 5"),
        ({"models": ["Total"]}, "E009", "its models contain 'Total', which is no model"),
        ({"models": [models.Model]}, "E009", "which is no model"),
        ({"models": [in_schema('"reports"."x"')]}, "E015", "is named with quotes or a schema"),
        ({"models": [in_schema('reports"."y')]}, "E015", "is named with quotes or a schema"),
        ({"models": [Crate]}, "E009", "readmodels.Crate inherits columns from Box"),
        ({"models": [proxy_of_total()]}, "E009", "has no table of its own"),
    ],
)
def test_mistake_is_named(
    attributes: dict[str, Any], number: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problems = found(described(**attributes), monkeypatch=monkeypatch)
    assert number in [each for each, _ in problems]
    assert any(message in text for _, text in problems), problems


def test_valid_projection_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = described(models=[Total], mode=INLINE, note=handles(ALL)(lambda self, event: None))
    sets = described(name="sets", note=..., project_batch=on_sets, types=["A"])
    assert found(plain, sets, monkeypatch=monkeypatch) == []


def test_two_with_one_name_or_one_table_are_named_both(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = found(described(models=[Total]), described(models=[Total]), monkeypatch=monkeypatch)
    assert [number for number, _ in problems] == ["E002", "E011", "E002", "E011"]


def test_many_to_many_table_of_the_project_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", [described(models=[Box, Label])])
    (warning,) = check_links()
    assert "the rows of readmodels.Box.owners are in readmodels.Owning, which its models do not contain" in warning.msg
    monkeypatch.setattr(registry, "_classes", [described(models=[Box, Label, Owning])])
    assert check_links() == []


def test_table_of_a_many_to_many_field_belongs_to_one_projection(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = found(described(models=[Box]), described(name="b", models=[Box.labels.through]), monkeypatch=monkeypatch)
    assert [number for number, _ in problems] == ["E011", "E011"]


def test_model_of_another_app_is_warned_about(monkeypatch: pytest.MonkeyPatch) -> None:
    stolen = type("Stolen", (Tally,), {"models": [User], "__module__": "tests.readmodels.projections"})
    monkeypatch.setattr(registry, "_classes", [Tally, stolen])
    (warning,) = check_owners()
    assert "its model auth.User belongs to another app" in warning.msg


def test_each_kind_of_message_has_an_id_of_its_own() -> None:
    """`SILENCED_SYSTEM_CHECKS` would silence another kind too."""
    source = (ROOT / "projections/checks.py").read_text(encoding="utf-8")
    given = re.findall(r'id="projections\.([EW]\d+)"', source)
    shared = {*re.findall(r'yield "(E\d+)"', source)}
    assert len(given) == len({*given} - shared) >= 7
    assert shared >= {"E001", "E015"}


def test_checks_run_at_start() -> None:
    """In a process of its own, because this module imports the checks."""
    names = run(sys.executable, "-c", REGISTERED, DJANGO_SETTINGS_MODULE="tests.settings").split()
    assert {"events.checks.check_settings", "projections.checks.check_settings"} <= {*names}
    assert "projections.checks.check_projections" in names


REGISTERED = """
import django
from django.core.checks.registry import registry
django.setup()
print(*(f"{check.__module__}.{check.__name__}" for check in registry.get_checks()))
"""


@pytest.mark.django_db
def test_rows_of_another_version_and_rows_without_code_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    ProjectionState.objects.get_or_create(name="tally", defaults={"mode": "async", "version": 1})
    ProjectionState.objects.create(name="forgotten", mode="async", version=1)
    monkeypatch.setattr(Tally, "version", 2)
    outdated, orphaned = check_versions(databases=["default"])
    assert "is version 2 (async) in the code" in outdated.msg
    assert outdated.hint == "Run: manage.py rebuild_projection tally"
    assert "'forgotten' has a checkpoint, but its code is gone" in orphaned.msg
    assert check_versions() == []
