"""Install the SQL functions, each from its file under projections/engine/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "engine" / "sql"


def function(name):
    return migrations.RunSQL((SQL / f"{name}.sql").read_text(encoding="utf-8"), f"DROP FUNCTION projections_{name}")


class Migration(migrations.Migration):
    dependencies = [("projections", "0001_initial")]

    operations = [
        function("enter_inline"),
        function("count_inline"),
        function("widen_inline"),
        function("create_shadow_tables"),
        function("check_reference"),
        function("check_references"),
        function("analyze_shadow_tables"),
        function("move_sequences"),
        function("drop_shadow_tables"),
        migrations.RunSQL((SQL / "privileges.sql").read_text(encoding="utf-8"), migrations.RunSQL.noop),
    ]
