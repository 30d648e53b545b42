-- Let readers know, until this transaction ends, that every position it takes will lie above the present one.
--
-- The sign is a shared advisory lock: class = the sequence's oid (so that stores in other schemas do not mix), key = the
-- low 31 bits of the sequence's last value, the transaction's "floor". Shared locks never wait for each other. One key
-- is enough for a transaction, and thousands would fill the lock table: a transaction-local setting remembers the floor,
-- and goes back with a savepoint exactly as the lock does. It is taken again each time, which costs next to nothing
-- where it is held. For anybody can write into the setting: a floor that is not held gets its lock now, and is low, so
-- readers wait for this transaction longer than they would have to; one above the last value, or so far below that its
-- distance has no 31 bits, does not count.
CREATE FUNCTION events_hold_floor() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_sequence CONSTANT oid := 'events_event_position_seq'::regclass;
    v_held CONSTANT text[] := string_to_array(current_setting('events.floor_held', true), ':');
    -- Others may take positions between here and the lock. They lie above this floor, so it is low, never wrong.
    v_floor bigint := coalesce(pg_sequence_last_value(v_sequence), 0);
    v_ignored text;
BEGIN
    IF v_held[1] = v_sequence::text AND v_floor - v_held[2]::bigint BETWEEN 0 AND 1073741823 THEN
        v_floor := v_held[2]::bigint;
    ELSE
        v_ignored := set_config('events.floor_held', v_sequence || ':' || v_floor, true);
    END IF;
    IF pg_advisory_xact_lock_shared(v_sequence::int, (v_floor & 2147483647)::int) IS NULL THEN
        NULL;  -- never; it is only that a function without a value cannot be assigned
    END IF;
    RETURN v_floor;
END
$$;
