"""Install the SQL functions, each from its file under projections/engine/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "engine" / "sql"


class Migration(migrations.Migration):
    dependencies = [("projections", "0001_initial")]

    operations = [
        migrations.RunSQL(
            (SQL / "enter_inline.sql").read_text(encoding="utf-8"), "DROP FUNCTION projections_enter_inline"
        ),
    ]
