"""What the roles may do with the state of the projections; tests/events/monitoring/test_grants.py tries it as roles."""

from projections.operations.rights import rights


def test_writers_may_write_the_tables_of_inline_projections_only() -> None:
    tables = rights("inline_writer").tables
    assert "projections_aggregateactivity" not in tables
    assert tables["projections_eventtypeactivity"] == tables["projections_checkpoint"] == "SELECT"


def test_nobody_removes_the_record_of_operations() -> None:
    assert rights("operator").tables == {"projections_operation": "SELECT, INSERT"}


def test_monitor_reads() -> None:
    assert not rights("monitor").tables
    assert not rights("monitor").functions
