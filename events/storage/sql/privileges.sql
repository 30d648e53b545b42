-- Who may call what. The functions for others run with the rights of the store's owner, so that whoever may append
-- needs no right to write the tables, and none gets past the functions. Hence the search_path of their own: or a caller
-- could put tables and operators of its own making before the store's. What they call is theirs alone.
DO $$
DECLARE
    v_function record;
BEGIN
    FOR v_function IN
        SELECT p.oid::regprocedure AS signature, p.proname IN (
            'events_append', 'events_append_one', 'events_settled_position') AS is_for_others
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = current_schema()
          AND p.proname IN ('events_append', 'events_append_one', 'events_settled_position', 'events_hold_floor',
                            'events_lock_aggregates', 'events_validation_error', 'events_check_version', 'events_reject',
                            'events_reject_change')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', v_function.signature);
        IF v_function.is_for_others THEN
            EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = pg_catalog, %I, pg_temp',
                           v_function.signature, current_schema());
        END IF;
    END LOOP;
END
$$;
