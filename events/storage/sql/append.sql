-- Append events: the way into the store, beside events_append_one, which is the same for a single event. It checks,
-- numbers and stores a whole call, or leaves no trace of it.
--
-- Answers one row per event in the order given, with outcome 'appended', or 'stored' when every event of the call was
-- stored before (a retry). With p_raise false a rejection is an answer as well, so that the caller's transaction goes
-- on: one row per failed expectation ('conflict': version is the actual one) or per id in use ('duplicate').
--
-- What Python could not read again is the caller's to avoid: numbers of more than 4,300 digits or beyond a float's range,
-- JSON nested by the hundred. EventStore checks for them.
--
-- Signals and inline projections live in Python and do not see a call made from psql; readers of the whole store do.
CREATE FUNCTION events_append(
    p_aggregate_ids text[],
    p_types text[],
    p_data jsonb[],
    p_metadata jsonb[],
    p_timestamps timestamptz[],                 -- when it happened; NULL: the moment of storing
    p_event_ids uuid[],
    p_expected_ids text[] DEFAULT '{}',         -- aggregates that must be ...
    p_expected_versions bigint[] DEFAULT '{}',  -- ... at this version; 0: must not exist; -1: must exist
    p_raise boolean DEFAULT true
) RETURNS TABLE (
    outcome text, aggregate_id text, event_id uuid, expected bigint, version bigint, "position" bigint,
    "timestamp" timestamptz, recorded_at timestamptz
) LANGUAGE plpgsql
-- A session keeps the plans it made first. Those made while the table was small would read all of it, for every append,
-- until the next ANALYZE. And there is one way to do each statement: weighing it anew costs more than some of them.
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_error text;
    v_versions bigint[];       -- of each event of the call
    v_times timestamptz[];     -- recorded_at of each event of the call
    v_targets text[];          -- the aggregates that this call has moved on
    v_rejected boolean;
    v_ignored text;
BEGIN
    SELECT min(events_validation_error(n.id, n.type, n.data, n.metadata, n.happened)) INTO v_error
    FROM unnest(p_aggregate_ids, p_types, p_data, p_metadata, p_timestamps) AS n(id, type, data, metadata, happened);
    IF v_error IS NOT NULL THEN
        RAISE EXCEPTION '%', v_error USING ERRCODE = '23514';
    END IF;
    IF cardinality(p_expected_ids) <> cardinality(p_expected_versions) THEN
        RAISE EXCEPTION '% aggregates are expected at % versions', cardinality(p_expected_ids),
            cardinality(p_expected_versions) USING ERRCODE = '22023', HINT = 'Give each one its version.';
    END IF;

    -- What lets the statements of this function, and no others, past the guards. (A SET clause of the function would be
    -- neater, but for a setting of one's own PostgreSQL allows it to superusers only.)
    v_ignored := set_config('events.appending', 'on', true);

    SELECT l.targets, l.versions, l.times, l.rejected INTO v_targets, v_versions, v_times, v_rejected
    FROM events_lock_aggregates(p_aggregate_ids, p_expected_ids, p_expected_versions) AS l;

    -- After the lock, as a statement of its own: it sees the events of a retry that ran side by side with this call.
    IF v_rejected OR EXISTS (SELECT FROM events_event WHERE event_id = ANY (p_event_ids)) THEN
        RETURN QUERY SELECT * FROM events_reject(
            v_targets, p_aggregate_ids, p_event_ids, p_expected_ids, p_expected_versions, p_raise);
        v_ignored := set_config('events.appending', '', true);
        RETURN;
    END IF;

    -- Before the first nextval, or a reader could pass over this transaction's positions.
    IF cardinality(p_aggregate_ids) > 0 THEN
        v_ignored := events_hold_floor();
    END IF;

    RETURN QUERY
    INSERT INTO events_event AS e
        (position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
    -- nextval outside the sorted subquery: positions rise in the order given.
    SELECT nextval('events_event_position_seq'), s.*
    FROM (
        SELECT n.id, n.version, n.event_id, n.type, n.data, n.metadata, coalesce(n.happened, n.stored), n.stored
        FROM unnest(p_aggregate_ids, v_versions, p_event_ids, p_types, p_data, p_metadata, p_timestamps, v_times)
             WITH ORDINALITY AS n(id, version, event_id, type, data, metadata, happened, stored, ordinal)
        ORDER BY n.ordinal
    ) AS s
    RETURNING 'appended', e.aggregate_id, e.event_id, NULL::bigint, e.version, e.position, e.timestamp, e.recorded_at;
    v_ignored := set_config('events.appending', '', true);
END
$$;
