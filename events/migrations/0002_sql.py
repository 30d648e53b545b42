"""Install the append functions, the settled position and the guards, each from its file under events/sql/."""

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "sql"


def run(name):
    forwards, backwards = SQL / f"{name}.sql", SQL / f"{name}_reverse.sql"
    return migrations.RunSQL(forwards.read_text(), backwards.read_text())


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        # Django adds this index to every text key, for LIKE. With collation "C" the key's own index does it.
        migrations.RunSQL(
            'DROP INDEX "events_aggregate_aggregate_id_e5e9c5c1_like"',
            'CREATE INDEX "events_aggregate_aggregate_id_e5e9c5c1_like"'
            ' ON "events_aggregate" ("aggregate_id" text_pattern_ops)',
        ),
        # Tiny, because events are stored in the order of time.
        migrations.RunSQL(
            'CREATE INDEX "events_event_recorded_at" ON "events_event" USING brin ("recorded_at")',
            'DROP INDEX "events_event_recorded_at"',
        ),
        run("fault_1"),
        run("hold_floor_1"),
        run("lock_aggregates_1"),
        run("refuse_1"),
        run("append_1"),
        run("append_one_1"),
        run("settled_position_1"),
        run("guards_1"),
        run("privileges_1"),
    ]
