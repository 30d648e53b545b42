-- Reject to write except through the append functions, and to change or remove events at all, whoever asks. Maintenance passes,
-- for one transaction and on purpose, with
--     SET LOCAL events.maintenance = 'on';
-- The SQLSTATE lies outside class 23, which Django would report as an IntegrityError and take for a version conflict.
CREATE FUNCTION events_reject_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('events.maintenance', true) = 'on' THEN
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'INSERT rejected: % is written by events_append() alone', TG_TABLE_NAME
            USING ERRCODE = 'EV004', HINT = 'It numbers the events, and lets readers know of them in time.';
    ELSE
        RAISE EXCEPTION '% rejected: what % holds is never changed or removed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'EV004', HINT = 'Append a new event that corrects the old one.';
    END IF;
END
$$;

CREATE TRIGGER events_event_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();

-- events.appending is on while an append function runs, and only then. The condition costs an append next to nothing; calling
-- the trigger's function for each would not.
CREATE TRIGGER events_event_appended BEFORE INSERT ON events_event
    FOR EACH STATEMENT WHEN (current_setting('events.appending', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_aggregate_appended BEFORE INSERT OR UPDATE OR DELETE ON events_aggregate
    FOR EACH STATEMENT WHEN (current_setting('events.appending', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_aggregate_kept BEFORE TRUNCATE ON events_aggregate
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_seal_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events_seal
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();
