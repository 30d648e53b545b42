-- Append one event. The result is one row with the meaning of a row of events_append. Most calls append one event, so
-- this function uses as few statements and expressions as possible.
CREATE FUNCTION events_append_one(
    p_aggregate_id text,
    p_type text,
    p_data jsonb,
    p_metadata jsonb DEFAULT '{}',
    p_timestamp timestamptz DEFAULT NULL,      -- when it happened; NULL: the moment of storing
    p_event_id uuid DEFAULT gen_random_uuid(),
    p_expected bigint DEFAULT NULL,            -- the version it must follow; 0: must not exist; -1: must; NULL: any
    p_raise boolean DEFAULT true,
    p_content_is_checked boolean DEFAULT false,  -- as in events_append
    OUT outcome text, OUT aggregate_id text, OUT version bigint, OUT "position" bigint,
    OUT "timestamp" timestamptz, OUT recorded_at timestamptz, OUT type text, OUT data jsonb, OUT metadata jsonb
) LANGUAGE plpgsql
-- As in events_append.
SET enable_seqscan = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    v_error CONSTANT text := events_validation_error(
        p_aggregate_id, p_type, p_data, p_metadata, p_timestamp, p_content_is_checked);
    v_version bigint;
    v_now timestamptz;
    v_ignored text;
BEGIN
    IF v_error IS NOT NULL THEN
        RAISE EXCEPTION '%', v_error USING ERRCODE = '23514';
    END IF;
    -- The guards let statements pass while this setting is on.
    v_ignored := set_config('events.appending', 'on', true);
    -- As in events_append.
    IF current_setting('synchronous_commit') = 'off' THEN
        v_ignored := set_config('synchronous_commit', 'on', true);
    END IF;

    -- One statement locks the aggregate's row and raises its version. A concurrent call waits here, and then sees the
    -- committed version. If the expectation fails, the statement writes nothing. The time is read under the lock, and
    -- does not go backwards within an aggregate, even if the clock does.
    IF p_expected IS DISTINCT FROM 0 THEN
        UPDATE events_aggregate AS a
        SET version = a.version + 1, updated_at = greatest(a.updated_at, clock_timestamp())
        WHERE aggregate_id = p_aggregate_id AND events_check_version(p_expected, a.version)
        RETURNING a.version, a.updated_at INTO v_version, v_now;
    END IF;
    -- The aggregate is new, or not at the expected version. The statement above is only faster for existing aggregates.
    IF v_version IS NULL THEN
        INSERT INTO events_aggregate AS a (aggregate_id, category, version, created_at, updated_at)
        SELECT p_aggregate_id, split_part(p_aggregate_id, '-', 1), 1, now, now FROM clock_timestamp() AS now
        ON CONFLICT (aggregate_id) DO UPDATE
        SET version = a.version + 1, updated_at = greatest(a.updated_at, clock_timestamp())
        WHERE events_check_version(p_expected, a.version)
        RETURNING a.version, a.updated_at INTO v_version, v_now;
    END IF;

    -- The INSERT of a new aggregate has not checked the expectation yet.
    IF events_check_version(p_expected, v_version - 1) THEN
        -- Before nextval; otherwise a reader could skip this transaction's positions.
        v_ignored := events_hold_floor();
        -- A separate statement after the lock, so that it sees the event of a concurrent retry. If the id is in use, it
        -- takes no position.
        INSERT INTO events_event AS e
            (position, aggregate_id, version, event_id, type, data, metadata, timestamp, recorded_at)
        SELECT nextval('events_event_position_seq'), p_aggregate_id, v_version, p_event_id, p_type, p_data, p_metadata,
               coalesce(p_timestamp, v_now), v_now
        WHERE NOT EXISTS (SELECT FROM events_event WHERE event_id = p_event_id)
        RETURNING 'appended', e.aggregate_id, e.version, e.position, e.timestamp, e.recorded_at
        INTO outcome, aggregate_id, version, position, timestamp, recorded_at;
    END IF;

    IF outcome IS NULL THEN
        SELECT r.outcome, r.aggregate_id, r.version, r.position, r.timestamp, r.recorded_at, r.type, r.data, r.metadata
        INTO outcome, aggregate_id, version, position, timestamp, recorded_at, type, data, metadata
        FROM events_reject(
            array_remove(ARRAY[CASE WHEN v_version IS NOT NULL THEN p_aggregate_id END], NULL), ARRAY[p_aggregate_id],
            ARRAY[p_type], ARRAY[p_data], ARRAY[p_event_id],
            array_remove(ARRAY[CASE WHEN p_expected IS NOT NULL THEN p_aggregate_id END], NULL),
            array_remove(ARRAY[p_expected], NULL), p_raise) AS r;
    END IF;
    v_ignored := set_config('events.appending', '', true);
END
$$;
