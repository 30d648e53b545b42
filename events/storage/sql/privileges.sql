-- The rights to call the functions. The public functions run with the rights of the store's owner, so a role that may
-- append needs no right to write the tables, and cannot bypass the functions. They set their own search_path; otherwise
-- a caller could put its own tables and operators before the store's. Only the owner may call the other functions, except
-- events_event_digest, which readers call to verify seals.
DO $$
DECLARE
    v_function record;
BEGIN
    FOR v_function IN
        SELECT p.oid::regprocedure AS signature, p.proname IN (
            'events_append', 'events_append_one', 'events_settled_position', 'events_seal_next') AS is_for_others
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema()
          AND p.proname IN ('events_append', 'events_append_one', 'events_settled_position', 'events_hold_floor',
                            'events_lock_aggregates', 'events_validation_error', 'events_content_error',
                            'events_check_version', 'events_reject', 'events_reject_change', 'events_check_numbers',
                            'events_event_digest', 'events_seal_next')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', v_function.signature);
        IF v_function.is_for_others THEN
            EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
                           v_function.signature, current_schema());
        END IF;
    END LOOP;
END
$$;
