-- Triggers that reject writes outside the append functions, and every change or removal of an event, for all roles.
-- Maintenance can pass them for one transaction with
--     SET LOCAL events.maintenance = 'on';
-- The SQLSTATE is outside class 23, because Django reports that class as an IntegrityError.
CREATE FUNCTION events_reject_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('events.maintenance', true) = 'on' THEN
        RETURN NULL;
    ELSIF TG_OP = 'INSERT' THEN
        RAISE EXCEPTION 'INSERT rejected: only the functions of the store may write %', TG_TABLE_NAME
            USING ERRCODE = 'EV004', HINT = 'events_append() numbers the events, and tells readers of them in time.';
    ELSE
        RAISE EXCEPTION '% rejected: rows of % cannot be changed or removed', TG_OP, TG_TABLE_NAME
            USING ERRCODE = 'EV004', HINT = 'Append a new event that corrects the old one.';
    END IF;
END
$$;

-- Check each event that maintenance writes. Readers begin behind position 0, and histories behind version 0, so they would
-- pass over such an event. CHECK constraints would cost every append time; see events_validation_error.
CREATE FUNCTION events_check_numbers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('events.maintenance', true) IS DISTINCT FROM 'on' THEN
        RAISE EXCEPTION 'INSERT rejected: only the functions of the store may write %', TG_TABLE_NAME
            USING ERRCODE = 'EV004', HINT = 'events_append() numbers the events, and tells readers of them in time.';
    ELSIF NEW.position < 1 OR NEW.version < 1 THEN
        RAISE EXCEPTION '% rejected: an event cannot have position % and version %', TG_OP, NEW.position, NEW.version
            USING ERRCODE = 'EV004', HINT = 'Positions and versions begin at 1.';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER events_event_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();

-- events.appending is on only while an append function runs. The WHEN condition costs an append almost nothing; a call
-- of the trigger's function would cost time.
CREATE TRIGGER events_event_appended BEFORE INSERT ON events_event
    FOR EACH ROW WHEN (current_setting('events.appending', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION events_check_numbers();
CREATE TRIGGER events_event_numbered BEFORE UPDATE ON events_event
    FOR EACH ROW EXECUTE FUNCTION events_check_numbers();
CREATE TRIGGER events_aggregate_appended BEFORE INSERT OR UPDATE OR DELETE ON events_aggregate
    FOR EACH STATEMENT WHEN (current_setting('events.appending', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_aggregate_kept BEFORE TRUNCATE ON events_aggregate
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_seal_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events_seal
    FOR EACH STATEMENT EXECUTE FUNCTION events_reject_change();
CREATE TRIGGER events_seal_appended BEFORE INSERT ON events_seal
    FOR EACH STATEMENT WHEN (current_setting('events.appending', true) IS DISTINCT FROM 'on')
    EXECUTE FUNCTION events_reject_change();
