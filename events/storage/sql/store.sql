-- What the database itself knows of the store: one row. No model of Django has this table, so `flush` and `dumpdata` leave
-- it alone.
CREATE TABLE events_store (
    is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
    -- Mixed into every event id that the store derives, so that nobody else can compute and occupy the id first.
    secret bytea NOT NULL CHECK (octet_length(secret) = 32),
    -- EVENTS_MAX_EVENT_BYTES as of the last `migrate`.
    max_event_bytes bigint NOT NULL CHECK (max_event_bytes > 0)
);

INSERT INTO events_store (secret, max_event_bytes)
VALUES (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())), 1024 * 1024);

-- With another secret, retries of earlier calls would store their events again.
CREATE TRIGGER events_store_kept BEFORE DELETE OR TRUNCATE OR UPDATE OF secret ON events_store
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();
