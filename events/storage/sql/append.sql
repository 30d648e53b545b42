-- Append events: validate, number and store the events of one call, all of them or none. events_append_one does the
-- same for a single event.
--
-- Returns one row per event in the order of the call, with outcome 'appended', or 'stored' if an earlier call stored
-- every event (a retry). With p_raise false, a rejection is a result too, so the caller's transaction stays usable:
-- one row per failed expectation ('conflict': version is the actual one) or per id in use ('duplicate'). Such a caller has
-- to compare the stored type and data of a retry with its own; with p_raise true, the function compares them.
--
-- Signals and inline projections run in Python and do not see a call made from psql; readers of the whole store do.
CREATE FUNCTION events_append(
    p_aggregate_ids text[],
    p_types text[],
    p_data jsonb[],
    p_metadata jsonb[],
    p_timestamps timestamptz[],                 -- when it happened; NULL: the moment of storing
    p_event_ids uuid[],
    p_expected_ids text[] DEFAULT '{}',         -- aggregates that must be ...
    p_expected_versions bigint[] DEFAULT '{}',  -- ... at this version; 0: must not exist; -1: must exist
    p_raise boolean DEFAULT true,
    p_content_is_checked boolean DEFAULT false  -- for EventStore, which has checked the content of the JSON
) RETURNS TABLE (
    outcome text, aggregate_id text, event_id uuid, expected bigint, version bigint, "position" bigint,
    "timestamp" timestamptz, recorded_at timestamptz,
    type text, data jsonb, metadata jsonb       -- of a stored event
) LANGUAGE plpgsql
-- A session keeps its first plans. Plans from the time when the table was small would scan the whole table for each
-- append until the next ANALYZE. And each statement has one sensible plan: planning again costs more than some of them.
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_error text;
    v_versions bigint[];       -- of each event of the call
    v_times timestamptz[];     -- recorded_at of each event of the call
    v_targets text[];          -- the aggregates whose versions this call has raised
    v_rejected boolean;
    v_ignored text;
BEGIN
    SELECT min(events_validation_error(n.id, n.type, n.data, n.metadata, n.happened, p_content_is_checked)) INTO v_error
    FROM unnest(p_aggregate_ids, p_types, p_data, p_metadata, p_timestamps) AS n(id, type, data, metadata, happened);
    IF v_error IS NOT NULL THEN
        RAISE EXCEPTION '%', v_error USING ERRCODE = '23514';
    END IF;
    IF cardinality(p_expected_ids) <> cardinality(p_expected_versions) THEN
        RAISE EXCEPTION '% aggregates are expected at % versions', cardinality(p_expected_ids),
            cardinality(p_expected_versions) USING ERRCODE = '22023', HINT = 'Give each one its version.';
    END IF;

    -- The guards let statements pass while this setting is on. (A SET clause of the function would be simpler, but
    -- PostgreSQL allows it for a custom setting to superusers only.)
    v_ignored := set_config('events.appending', 'on', true);
    -- Readers rely on visible events being on disk (events_settled_position), and callers on acknowledged ones.
    IF current_setting('synchronous_commit') = 'off' THEN
        v_ignored := set_config('synchronous_commit', 'on', true);
    END IF;

    SELECT l.targets, l.versions, l.times, l.rejected INTO v_targets, v_versions, v_times, v_rejected
    FROM events_lock_aggregates(p_aggregate_ids, p_expected_ids, p_expected_versions) AS l;

    -- A separate statement after the lock, so that it sees the events of a concurrent retry.
    IF v_rejected OR EXISTS (SELECT FROM events_event WHERE event_id = ANY (p_event_ids)) THEN
        RETURN QUERY SELECT * FROM events_reject(
            v_targets, p_aggregate_ids, p_types, p_data, p_event_ids, p_expected_ids, p_expected_versions, p_raise);
        v_ignored := set_config('events.appending', '', true);
        RETURN;
    END IF;

    -- Before the first nextval; otherwise a reader could skip this transaction's positions.
    IF cardinality(p_aggregate_ids) > 0 THEN
        v_ignored := events_hold_floor();
    END IF;

    RETURN QUERY
    INSERT INTO events_event AS e
        (position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
    -- nextval is outside the sorted subquery, so that positions rise in the order of the call.
    SELECT nextval('events_event_position_seq'), s.*
    FROM (
        SELECT n.id, n.version, n.event_id, n.type, n.data, n.metadata, coalesce(n.happened, n.stored), n.stored
        FROM unnest(p_aggregate_ids, v_versions, p_event_ids, p_types, p_data, p_metadata, p_timestamps, v_times)
             WITH ORDINALITY AS n(id, version, event_id, type, data, metadata, happened, stored, ordinal)
        ORDER BY n.ordinal
    ) AS s
    RETURNING 'appended', e.aggregate_id, e.event_id, NULL::bigint, e.version, e.position, e.timestamp, e.recorded_at,
        NULL, NULL::jsonb, NULL::jsonb;
    v_ignored := set_config('events.appending', '', true);
END
$$;
