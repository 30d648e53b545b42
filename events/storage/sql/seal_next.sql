-- Seal the next events, and return their number.
--
-- It runs with the rights of the store's owner, and works out every part of the seal itself: a role that may seal can write
-- neither a seal that later seals cannot follow, nor one that does not match its events.
CREATE FUNCTION events_seal_next(
    p_up_to bigint,              -- seal no event after this position
    p_limit integer DEFAULT 1000 -- seal at most this many events; 1000 is the most
) RETURNS integer LANGUAGE plpgsql
-- Another sealer is waited for; see the lock.
SET lock_timeout = '10s'
-- As in events_append: a session keeps its first plan, which must not scan the whole table.
SET enable_seqscan = off
AS $$
DECLARE
    v_after bigint;
    v_previous bytea;
    v_up_to bigint;
    v_position bigint;
    v_digest bytea;
    v_marks bytea := '';
    v_events integer := 0;
    v_event record;
    v_ignored text;
BEGIN
    -- One sealer at a time. The statements after it see the seal of the lock's last holder. A role needs the right to
    -- change the table to take this lock, so no other role can hold it; any role could hold an advisory lock.
    LOCK TABLE events_seal IN SHARE ROW EXCLUSIVE MODE;
    -- Read before the events, so no event can appear below it.
    v_up_to := least(p_up_to, events_settled_position());
    SELECT position, digest INTO v_after, v_previous FROM events_seal ORDER BY position DESC LIMIT 1;
    v_after := coalesce(v_after, 0);
    v_previous := coalesce(v_previous, decode(repeat('00', 32), 'hex'));

    v_digest := v_previous;
    FOR v_event IN
        SELECT position, events_event_digest(e) AS digest FROM events_event AS e
        WHERE position > v_after AND position <= v_up_to ORDER BY position LIMIT least(p_limit, 1000)
    LOOP
        v_position := v_event.position;
        v_digest := sha256(v_digest || v_event.digest);
        v_marks := v_marks || substr(v_event.digest, 1, 4);
        v_events := v_events + 1;
    END LOOP;
    IF v_events > 0 THEN
        -- The guards let the statement pass while this setting is on.
        v_ignored := set_config('events.appending', 'on', true);
        INSERT INTO events_seal (position, after, events, previous, digest, marks, sealed_at)
        VALUES (v_position, v_after, v_events, v_previous, v_digest, v_marks, now());
        v_ignored := set_config('events.appending', '', true);
    END IF;
    RETURN v_events;
END
$$;
