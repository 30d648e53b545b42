"""Install the SQL functions, each from its file under projections/engine/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "engine" / "sql"


def function(name):
    return migrations.RunSQL((SQL / f"{name}.sql").read_text(encoding="utf-8"), f"DROP FUNCTION projections_{name}")


# Read models can be built again from the events, but not the record of what operators did and skipped.
KEEP = """
DO $$
BEGIN
    IF current_setting('events.maintenance', true) IS DISTINCT FROM 'on'
       AND EXISTS (SELECT FROM projections_operation) THEN
        RAISE EXCEPTION 'rejected: this migration back would remove the record of operations, and of skipped events'
            USING ERRCODE = 'EV004', HINT = 'To remove it for ever, set PGOPTIONS="-c events.maintenance=on".';
    END IF;
END
$$
"""


class Migration(migrations.Migration):
    dependencies = [("projections", "0001_initial")]

    operations = [
        # A table without columns: only its lock is used. No role needs a right to it.
        migrations.RunSQL("CREATE TABLE projections_inline_lock ()", "DROP TABLE projections_inline_lock"),
        function("enter_inline"),
        function("lock_out_writers"),
        function("create_shadow_tables"),
        function("analyze_shadow_tables"),
        function("move_sequences"),
        function("drop_shadow_tables"),
        migrations.RunSQL((SQL / "privileges.sql").read_text(encoding="utf-8"), migrations.RunSQL.noop),
        # The last operation is the first that is reversed.
        migrations.RunSQL(migrations.RunSQL.noop, KEEP),
    ]
