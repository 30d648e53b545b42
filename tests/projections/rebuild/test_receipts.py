"""A real event log projects to the same tables in every way."""

import io
import signal

import pytest
from django.core.management import call_command

from projections.models import Checkpoint, Rebuild
from projections.operations import status
from tests import FULL, RECEIPTS
from tests.projections.rebuild.support import expected_cases
from tests.projections.support import cases
from tests.readmodels.models import Case, Step
from tests.readmodels.projections import Cases
from tests.support import Wait, manage, manage_process

pytestmark = pytest.mark.django_db(transaction=True)


def import_receipts() -> None:
    if not RECEIPTS.exists():
        pytest.skip(f"the receipt log is not here: {RECEIPTS}")
    columns = {"aggregate_id": "case:concept:name", "type": "concept:name", "timestamp": "time:timestamp"}
    call_command("import_events", RECEIPTS, **columns, stdout=io.StringIO())


def rebuild_killed_twice(**environment: str) -> None:
    """Run the real command, and kill it by SIGKILL twice on the way."""
    for _ in range(2):
        before = _rebuilt_position()
        with manage_process("rebuild_projection", "cases", "--yes", **environment) as process:
            Wait.until(lambda before=before: _rebuilt_position() > before, what="some progress")
            process.kill()
        assert process.returncode == -signal.SIGKILL
    assert Rebuild.objects.filter(pk="cases").exists()
    assert "is rebuilt" in manage("rebuild_projection", "cases", "--yes", **environment)


def _rebuilt_position() -> int:
    return max(Checkpoint.objects.of_rebuild().values_list("position", flat=True), default=0)


def test_receipt_log_projects_to_the_same_tables_inline(inline_cases: None) -> None:
    import_receipts()
    expected = expected_cases()
    assert len(expected[1]) == 8577
    assert cases() == expected
    rebuild_killed_twice(TEST_CASES_MODE="inline")
    assert cases() == expected
    assert status.report("cases").status == "running"


@pytest.mark.parametrize("shards", [1, 4] if FULL else [4])
def test_receipt_log_projects_to_the_same_tables_async(shards: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cases, "shards", shards)
    import_receipts()
    expected = expected_cases()
    manage("run_projections", "cases", "--until-caught-up", "--processes", "2", TEST_CASES_SHARDS=str(shards))
    assert Checkpoint.objects.filter(projection="cases").count() == shards
    assert cases() == expected
    Step.objects.filter(number=2).delete()  # so that a rebuild has something to mend
    Case.objects.filter(pk__in=Case.objects.values("pk")[:100]).update(steps=0)
    rebuild_killed_twice(TEST_CASES_SHARDS=str(shards))
    assert cases() == expected
