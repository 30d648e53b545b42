-- Take an advisory lock which tells readers, until this transaction ends, that all positions of the transaction are
-- above the sequence's last value, its "floor".
--
-- The lock is shared: class = the sequence's oid (so that stores in other schemas do not mix), key = the low 31 bits of
-- the floor. Shared locks never wait for each other. A transaction keeps its first floor, because thousands of locks
-- would fill the lock table. A transaction-local setting stores the floor; a rollback to a savepoint resets the setting
-- exactly as it releases the lock.
--
-- Any role can write the setting, so the lock on its floor is taken again each time, which costs almost nothing if it
-- is held. A made-up floor below the last value only makes readers wait longer than necessary. A floor above the last
-- value, or too far below it for a distance of 31 bits, is ignored.
CREATE FUNCTION events_hold_floor() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    v_sequence CONSTANT oid := 'events_event_position_seq'::regclass;
    v_held CONSTANT text[] := string_to_array(current_setting('events.floor_held', true), ':');
    -- Other transactions may take positions between here and the lock. The floor is then lower than needed, but safe.
    v_floor bigint := coalesce(pg_sequence_last_value(v_sequence), 0);
    v_ignored text;
BEGIN
    IF v_held[1] = v_sequence::text AND v_floor - v_held[2]::bigint BETWEEN 0 AND 1073741823 THEN
        v_floor := v_held[2]::bigint;
    ELSE
        v_ignored := set_config('events.floor_held', v_sequence || ':' || v_floor, true);
    END IF;
    -- Any role can take any advisory lock. The call never waits for one: a lower floor is always safe, because it only
    -- makes readers wait longer. Floors below 0 are safe too: readers compute the distance modulo 2^31.
    WHILE NOT pg_try_advisory_xact_lock_shared(v_sequence::int, (v_floor & 2147483647)::int) LOOP
        v_floor := v_floor - 1;
        v_ignored := set_config('events.floor_held', v_sequence || ':' || v_floor, true);
    END LOOP;
    RETURN v_floor;
END
$$;
