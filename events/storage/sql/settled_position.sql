-- The settled position: that of the highest event below which no other can appear any more.
--
-- Why it holds: a position up to v_last was taken by a transaction that already held its floor (events_hold_floor). When
-- the floors are read, it either still holds it, and then the answer lies below that position; or it has ended, and
-- then a snapshot taken from now on sees its events, because locks go after the commit is visible. Hence the order of
-- the two statements, and hence the caller must read the events in a later statement.
--
-- The answer is the position of an event, not merely one that has been taken. Those above the last event were burnt by
-- appends that were rolled back, and when the server crashes before it has written that to disk, they are given out
-- again: a reader that was told of one and keeps it as its checkpoint would then miss events. An event that can be seen
-- is on disk, and the sequence with it.
CREATE FUNCTION events_settled_position() RETURNS bigint LANGUAGE plpgsql VOLATILE
-- As in events_append: a session keeps the plan it made first, and must not read the whole table ever after.
SET enable_seqscan = off
AS $$
DECLARE
    v_last bigint;
    v_behind bigint;
    v_settled bigint;
BEGIN
    -- The caller's next statement would read with this transaction's old snapshot, and pass over what came since.
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'the whole store cannot be read in a % transaction', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'EV003', HINT = 'Read it in READ COMMITTED, or outside the transaction.';
    END IF;

    -- A standby has the sequence's values before the events, and none of the locks.
    IF pg_is_in_recovery() THEN
        RAISE EXCEPTION 'the whole store cannot be read from a standby'
            USING ERRCODE = 'EV003', HINT = 'Read it from the primary.';
    END IF;

    SELECT CASE WHEN is_called THEN last_value ELSE 0 END INTO v_last FROM events_event_position_seq;

    -- How far the lowest floor lies behind v_last. Keys have 31 bits, so the distance is taken modulo 2^31, as a signed
    -- number: a floor above v_last belongs to a writer that came after the statement before, and does not count.
    -- The own backend does not count either: a transaction sees its own events. A prepared one has no pid, and does.
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
