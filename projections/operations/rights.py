"""The rights of database roles on the tables and functions of the projections, for `events_grants`."""

from events.monitoring.grants import Rights
from projections import registry
from projections.base import Mode
from projections.engine import target_tables
from projections.models import (
    Checkpoint,
    Heartbeat,
    InlineCount,
    Operation,
    ParkedEvent,
    ProjectionState,
    Rebuild,
    Timer,
)

_STATE = [
    model._meta.db_table
    for model in (Checkpoint, Heartbeat, InlineCount, Operation, ParkedEvent, ProjectionState, Rebuild, Timer)
]
_FUNCTIONS = {
    "inline_writer": [
        "projections_enter_inline(jsonb)",
        "projections_count_inline(text[], bigint[])",
        "projections_widen_inline(text, text[])",
    ],
    "operator": [
        "projections_lock_out_writers()",
        "projections_create_shadow_tables(text, regclass[])",
        "projections_check_references(text, regclass[])",
        "projections_analyze_shadow_tables(text)",
        "projections_move_sequences(text, regclass)",
        "projections_drop_shadow_tables(text)",
    ],
}


def rights(kind: str) -> Rights:
    """Return the rights of a kind of role; a kind is a method of `events.monitoring.grants.Grants`."""
    tables = {}
    if kind == "inline_writer":
        # It calls a function that reads the state, and writes only the tables of INLINE projections.
        written = {table for each in registry.all_projections(Mode.INLINE) for table in target_tables.tables(each)}
        filled = {table for each in registry.all_projections() for table in target_tables.tables(each)}
        tables = dict.fromkeys([*_STATE, *sorted(filled - written)], "SELECT")
    elif kind == "operator":
        tables = {Operation._meta.db_table: "SELECT, INSERT"}  # the record of operations is only added to
    return Rights(tables, _FUNCTIONS.get(kind, []))
