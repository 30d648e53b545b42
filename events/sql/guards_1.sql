-- Refuse to change or remove what is stored, whoever asks. Maintenance passes, for one transaction and on purpose, with
--     SET LOCAL events.maintenance = 'on';
-- The SQLSTATE lies outside class 23, which Django would report as an IntegrityError and take for a version conflict.
CREATE FUNCTION events_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('events.maintenance', true) = 'on' THEN
        RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
    END IF;
    RAISE EXCEPTION '% refused: what % holds is never changed or removed', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'EV004', HINT = 'Append a new event that corrects the old one.';
END
$$;

CREATE TRIGGER events_event_immutable BEFORE UPDATE OR DELETE OR TRUNCATE ON events_event
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();

-- An aggregate's row moves on with its events, so only what would contradict them is refused. A row of version 0 is one
-- that the append function holds for an aggregate without events.
CREATE TRIGGER events_aggregate_kept BEFORE UPDATE OF aggregate_id OR TRUNCATE ON events_aggregate
    FOR EACH STATEMENT EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER events_aggregate_not_deleted BEFORE DELETE ON events_aggregate
    FOR EACH ROW WHEN (OLD.version > 0) EXECUTE FUNCTION events_refuse_change();
CREATE TRIGGER events_aggregate_not_reset BEFORE UPDATE ON events_aggregate
    FOR EACH ROW WHEN (NEW.version < OLD.version) EXECUTE FUNCTION events_refuse_change();
