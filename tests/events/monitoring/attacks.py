"""What each database role tries, and may not."""

ROLES = ("reader", "writer", "inline_writer", "operator", "monitor")

FORBIDDEN_TO_ALL = {
    "insert": "INSERT INTO events_event SELECT * FROM events_event",
    "insert, with the setting of the function": "SELECT set_config('events.appending', 'on', false);"
    " INSERT INTO events_aggregate (aggregate_id, version, created_at, updated_at) VALUES ('x', 1, now(), now())",
    "update": "UPDATE events_event SET type = 'Other'",
    "update of the aggregate": "UPDATE events_aggregate SET version = 7",
    "update of a seal": "UPDATE events_seal SET events = 7",
    "update of the secret": "UPDATE events_store SET secret = sha256('')",
    "limit of an event raised": "UPDATE events_store SET max_event_bytes = 1000000000",
    "delete": "DELETE FROM events_event",
    "delete, as maintenance": "SET events.maintenance = 'on'; DELETE FROM events_event",
    "delete of a seal": "SET events.maintenance = 'on'; DELETE FROM events_seal",
    "truncate": "TRUNCATE events_event, events_aggregate, events_seal",
    "guards off": "ALTER TABLE events_event DISABLE TRIGGER ALL",
    "guards off for the session": "SET session_replication_role = 'replica'",
    "guard dropped": "DROP TRIGGER events_event_immutable ON events_event",
    "guard replaced": "CREATE OR REPLACE FUNCTION events_reject_change() RETURNS trigger LANGUAGE plpgsql AS"
    " 'BEGIN RETURN NULL; END'",
    "function altered": "ALTER FUNCTION events_settled_position() RESET search_path",
    "position taken": "SELECT nextval('events_event_position_seq')",
    "position set back": "SELECT setval('events_event_position_seq', 1)",
    "inner function: floor": "SELECT events_hold_floor()",
    "inner function: locks": "SELECT events_lock_aggregates('{x}', '{}', '{}')",
    "inner function: rejection": "SELECT events_reject('{a-1}', '{a-1}', '{}', '{}', '{}', '{}', '{}', false)",
    "lock of the seals": "LOCK TABLE events_seal IN SHARE MODE",
    "lock of the events": "LOCK TABLE events_event IN ROW SHARE MODE",
    "lock of INLINE projections": "LOCK TABLE projections_inline_lock IN ACCESS SHARE MODE",
    "table dropped": "DROP TABLE events_seal CASCADE",
    "column added": "ALTER TABLE events_event ADD COLUMN more text",
    "trigger added": "CREATE TRIGGER mine BEFORE INSERT ON events_event EXECUTE FUNCTION events_reject_change()",
    "rule added": "CREATE RULE mine AS ON INSERT TO events_event DO INSTEAD NOTHING",
    "schema of one's own, which another role of that name would search first": "CREATE SCHEMA events_owner",
    "function in the schema of the store": "CREATE FUNCTION public.f() RETURNS text LANGUAGE sql AS 'SELECT 1'",
    "shadow table of any table": "SELECT projections_create_shadow_tables('mine', '{auth_user}')",
    "right given on": "GRANT DELETE ON events_event TO PUBLIC; DELETE FROM events_event",
}


APPEND = (
    "SELECT events_append('{x}', '{T}', ARRAY['{}']::jsonb[], ARRAY['{}']::jsonb[], ARRAY[NULL]::timestamptz[],"
    " ARRAY[gen_random_uuid()])"
)


SECRET = "SELECT secret FROM events_store"


APPEND_ONE = "SELECT events_append_one('x', 'T', '{}')"


FORBIDDEN = {
    "reader": {
        "append": APPEND,
        "append one": APPEND_ONE,
        "seal": "INSERT INTO events_seal SELECT * FROM events_seal",
        "secret": SECRET,
    },
    "writer": {
        "seal": "INSERT INTO events_seal SELECT * FROM events_seal",
        "read model": "DELETE FROM projections_aggregateactivity",
        "shadow tables dropped": "SELECT projections_drop_shadow_tables('tally')",
        "checkpoint": "UPDATE projections_checkpoint SET position = 0",
    },
    "inline_writer": {
        "seal": "INSERT INTO events_seal SELECT * FROM events_seal",
        "checkpoint moved": "UPDATE projections_checkpoint SET position = 9223372036854775807",
        "checkpoint removed": "DELETE FROM projections_checkpoint",
        "record of operations": "DELETE FROM projections_operation",
        "operation made up": "INSERT INTO projections_operation (projection, version, action, at, by)"
        " VALUES ('tally', 1, 'skip', now(), 'somebody else')",
        "projection paused": "UPDATE projections_projectionstate SET status = 'paused'",
        "projection forgotten": "DELETE FROM projections_projectionstate",
        "rebuild asked for": "DELETE FROM projections_rebuild",
        "parked event": "DELETE FROM projections_parkedevent",
        "worker made up": "DELETE FROM projections_heartbeat",
        "rows of a worker's projection": "DELETE FROM projections_eventtypeactivity",
        "numbers of its rows used up": "SELECT setval('projections_dailyactivity_id_seq', 9223372036854775807)",
        "shadow tables dropped": "SELECT projections_drop_shadow_tables('tally')",
    },
    "operator": {
        "append": APPEND,
        "secret": SECRET,
        "seal at the end of all numbers": "INSERT INTO events_seal VALUES"
        " (9223372036854775807, 0, 1, sha256(''), sha256(''), sha256(''), now())",
        "record of operations removed": "DELETE FROM projections_operation",
        "record of operations changed": "UPDATE projections_operation SET by = 'somebody else'",
        "numbers of operations used up": "SELECT setval('projections_operation_id_seq', 9223372036854775807)",
        "numbers of rows used up": "SELECT setval('projections_dailyactivity_id_seq', 9223372036854775807)",
    },
    "monitor": {
        "append": APPEND,
        "secret": SECRET,
        "seal": "INSERT INTO events_seal SELECT * FROM events_seal",
        "checkpoint": "UPDATE projections_checkpoint SET position = 0",
        "migrations": "DELETE FROM django_migrations",
    },
}
