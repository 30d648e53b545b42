-- Return the settled position: the position of the highest event below which no event can appear any longer.
--
-- Why this is correct: a transaction that took a position up to v_last already held its floor (events_hold_floor). When
-- the floors are read, either it still holds the floor, and the result is below that position; or it has ended, and
-- every later snapshot sees its events, because locks are released after the commit is visible. So the sequence is read
-- before the locks, and the caller must read the events in a later statement.
--
-- The result is the position of an event, not only a position that was taken. The positions above the last event belong
-- to appends that were rolled back. If the server crashes before the sequence is on disk, it assigns them again, and a
-- reader with such a checkpoint would miss events. A visible event is on disk, and the sequence with it: the
-- append functions turn synchronous_commit on for their transaction.
CREATE FUNCTION events_settled_position() RETURNS bigint LANGUAGE plpgsql VOLATILE
-- As in events_append: a session keeps its first plan, which must not scan the whole table.
SET enable_seqscan = off
AS $$
DECLARE
    v_last bigint;
    v_behind bigint;
    v_settled bigint;
BEGIN
    -- The caller's next statement would read with this transaction's old snapshot and skip newer events.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'the whole store cannot be read in a % transaction', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'EV003', HINT = 'Read it in READ COMMITTED, or outside the transaction.';
    END IF;

    -- A standby receives the values of the sequence before the events, and none of the locks.
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'the whole store cannot be read from a standby'
            USING ERRCODE = 'EV003', HINT = 'Read it from the primary.';
    END IF;

    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO v_last FROM events_event_position_seq;

    -- The distance of the lowest floor below v_last. Keys have 31 bits, so it is a signed number modulo 2^31: a floor
    -- above v_last belongs to a writer that began after the statement above, and is ignored. This backend's floor is
    -- ignored too, because a transaction sees its own events. A prepared transaction has no pid, and counts.
    SELECT max(((v_last - objid::bigint + 1073741824) & 2147483647) - 1073741824) INTO v_behind
    FROM pg_locks
    WHERE locktype = 'advisory' AND objsubid = 2
      AND classid = 'events_event_position_seq'::regclass
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND pid IS DISTINCT FROM pg_backend_pid();

    SELECT max(position) INTO v_settled FROM events_event WHERE position <= v_last - greatest(v_behind, 0);
    RETURN coalesce(v_settled, 0);
END
$$;
