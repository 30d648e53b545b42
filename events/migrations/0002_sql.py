"""Install the SQL functions and the guards from the files in events/storage/sql/."""

from pathlib import Path

from django.core.management import CommandError
from django.db import migrations

SQL = Path(__file__).resolve().parent.parent / "storage" / "sql"


def install(name, reverse):
    return migrations.RunSQL((SQL / f"{name}.sql").read_text(encoding="utf-8"), reverse)


def function(name):
    return install(name, f"DROP FUNCTION events_{name}")


def keep(apps, schema_editor):
    """`migrate events zero`, or a step back to 0001, would drop the events or their guards."""
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM events_event)"
            " AND current_setting('events.maintenance', true) IS DISTINCT FROM 'on'"
        )
        if cursor.fetchone() == (True,):
            raise CommandError(
                "Rejected: this step back would remove every event, or the guards of the events."
                ' To remove them for ever, set PGOPTIONS="-c events.maintenance=on".'
            )


class Migration(migrations.Migration):
    dependencies = [("events", "0001_initial")]

    operations = [
        # Django adds this index to a text key for LIKE; with collation "C" the index of the key is enough.
        migrations.RunSQL(
            'DROP INDEX "events_aggregate_aggregate_id_e5e9c5c1_like"',
            'CREATE INDEX "events_aggregate_aggregate_id_e5e9c5c1_like"'
            ' ON "events_aggregate" ("aggregate_id" text_pattern_ops)',
        ),
        # A BRIN index is tiny, because events are stored in the order of time.
        migrations.RunSQL(
            'CREATE INDEX "events_event_recorded_at" ON "events_event" USING brin ("recorded_at")',
            'DROP INDEX "events_event_recorded_at"',
        ),
        function("content_error"),
        function("validation_error"),
        function("check_version"),
        function("hold_floor"),
        function("lock_aggregates"),
        function("reject"),
        function("append"),
        function("append_one"),
        function("settled_position"),
        function("event_digest"),
        function("seal_next"),
        # The triggers go with their functions.
        install("guards", "DROP FUNCTION events_reject_change, events_check_numbers CASCADE"),
        install("store", "DROP TABLE events_store"),
        install("privileges", migrations.RunSQL.noop),
        # The last operation is the first that is reversed, while the guards are still there.
        migrations.RunPython(migrations.RunPython.noop, keep),
    ]
