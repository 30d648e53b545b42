-- Let readers know, until this transaction ends, that every position it takes will lie above the present one.
--
-- The sign is a shared advisory lock: class = the sequence's oid (so that stores in other schemas do not mix), key = the
-- low 31 bits of the sequence's last value, the transaction's "floor". Shared locks never wait for each other. One key
-- is enough for a transaction, and thousands would fill the lock table: a transaction-local setting remembers the floor,
-- and goes back with a savepoint exactly as the lock does. It is taken again each time, which costs next to nothing
-- where it is held. For anybody can write into the setting: a floor that is not held gets its lock now, and is low, so
-- readers wait for this transaction longer than they would have to; one above the last value, or so far below that its
-- distance has no 31 bits, does not count.
CREATE FUNCTION events_hold_floor() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_sequence CONSTANT oid := 'events_event_position_seq'::regclass;
    v_held CONSTANT text[] := string_to_array(current_setting('events.floor_held', true), ':');
    v_floor bigint;
BEGIN
    -- Others may take positions between this statement and the lock. They lie above this floor, so it is low, never wrong.
    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO v_floor FROM events_event_position_seq;
    IF v_held[1] = v_sequence::text AND v_floor - v_held[2]::bigint BETWEEN 0 AND 1073741823 THEN
        v_floor := v_held[2]::bigint;
    ELSE
        PERFORM set_config('events.floor_held', v_sequence || ':' || v_floor, true);
    END IF;
    PERFORM pg_advisory_xact_lock_shared(v_sequence::int, (v_floor & 2147483647)::int);
END
$$;
