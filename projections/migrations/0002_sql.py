"""Install the SQL functions, each from its file under projections/engine/sql/."""

from pathlib import Path

from django.core.management import CommandError
from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "engine" / "sql"


def function(name):
    return migrations.RunSQL((SQL / f"{name}.sql").read_text(encoding="utf-8"), f"DROP FUNCTION projections_{name}")


def keep(apps, schema_editor):
    """Read models can be built again from the events, but not the record of what operators did and skipped."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM projections_operation)"
            " AND current_setting('events.maintenance', true) IS DISTINCT FROM 'on'"
        )
        if cursor.fetchone() == (True,):
            raise CommandError(
                "Rejected: this step back would remove the record of operations, and of skipped events."
                ' To remove them for ever, set PGOPTIONS="-c events.maintenance=on".'
            )


class Migration(migrations.Migration):
    dependencies = [("projections", "0001_initial")]

    operations = [
        # A table without columns: only its lock is used. No role needs a right to it.
        migrations.RunSQL("CREATE TABLE projections_inline_lock ()", "DROP TABLE projections_inline_lock"),
        function("enter_inline"),
        function("count_inline"),
        function("widen_inline"),
        function("lock_out_writers"),
        function("create_shadow_tables"),
        function("check_reference"),
        function("check_references"),
        function("analyze_shadow_tables"),
        function("move_sequences"),
        function("drop_shadow_tables"),
        migrations.RunSQL((SQL / "privileges.sql").read_text(encoding="utf-8"), migrations.RunSQL.noop),
        # The last operation is the first that is reversed.
        migrations.RunPython(migrations.RunPython.noop, keep),
    ]
