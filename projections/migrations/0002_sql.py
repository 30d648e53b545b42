"""Install the SQL functions, each from its file under projections/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


class Migration(migrations.Migration):
    dependencies = [("projections", "0001_initial")]

    operations = [
        migrations.RunSQL((SQL / "enter_inline_1.sql").read_text(), (SQL / "enter_inline_1_reverse.sql").read_text()),
    ]
