-- Let readers know, until this transaction ends, that every position it takes will lie above the present one.
--
-- The sign is a shared advisory lock: class = the sequence's oid (so that stores in other schemas do not mix), key = the
-- low 31 bits of the sequence's last value, the transaction's "floor". Shared locks never wait for each other. One is
-- enough for a transaction, and thousands would fill the lock table: a transaction-local setting remembers it, and
-- goes back with a savepoint exactly as the lock does.
CREATE FUNCTION events_hold_floor() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_sequence CONSTANT oid := 'events_event_position_seq'::regclass;
    v_floor bigint;
BEGIN
    IF current_setting('events.floor_held', true) IS NOT DISTINCT FROM v_sequence::text THEN
        RETURN;
    END IF;
    -- Others may take positions between these two statements. They lie above this floor, so it is low, never wrong.
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO v_floor FROM events_event_position_seq;
    PERFORM pg_advisory_xact_lock_shared(v_sequence::int, (v_floor & 2147483647)::int),
            set_config('events.floor_held', v_sequence::text, true);
END
$$;
