-- Undo a rejected call's changes to its aggregates, and return the reasons of the rejection, or the events of a retry.
CREATE FUNCTION events_reject(
    p_targets text[],            -- the aggregates whose versions the call has raised; NULL: none
    p_aggregate_ids text[],
    p_types text[],
    p_data jsonb[],
    p_event_ids uuid[],
    p_expected_ids text[],
    p_expected_versions bigint[],
    p_raise boolean
) RETURNS TABLE (
    outcome text, aggregate_id text, event_id uuid, expected bigint, version bigint, "position" bigint,
    "timestamp" timestamptz, recorded_at timestamptz, type text, data jsonb, metadata jsonb
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_stored bigint;
    v_retry boolean;
    v_rejection record;
BEGIN
    -- Restore the versions and times from the events.
    UPDATE events_aggregate AS a
    SET version = a.version - t.events,
        updated_at = coalesce((SELECT e.recorded_at FROM events_event AS e
                               WHERE e.aggregate_id = a.aggregate_id AND e.version = a.version - t.events), a.updated_at)
    FROM (SELECT id, count(*) AS events FROM unnest(p_aggregate_ids) AS id GROUP BY id) AS t
    WHERE a.aggregate_id = t.id AND t.id = ANY (p_targets);
    DELETE FROM events_aggregate WHERE aggregate_id = ANY (p_targets) AND version = 0;

    -- A retry: every id is stored, in this order, each in its aggregate. A retry ignores its expected versions.
    SELECT count(x.position), bool_and(x.same AND (x.previous IS NULL OR x.previous < x.position))
    INTO v_stored, v_retry
    FROM (
        SELECT e.position, e.aggregate_id = n.id AS same, lag(e.position) OVER (ORDER BY n.ordinal) AS previous
        FROM unnest(p_aggregate_ids, p_event_ids) WITH ORDINALITY AS n(id, event_id, ordinal)
        JOIN events_event AS e ON e.event_id = n.event_id
    ) AS x;
    IF v_stored > 0 AND v_stored = cardinality(p_event_ids) AND v_retry THEN
        IF p_raise THEN
            SELECT e.event_id, e.aggregate_id,
                   CASE WHEN e.type <> n.type THEN 'of another type' ELSE 'with other data' END AS difference
            INTO v_rejection
            FROM unnest(p_event_ids, p_types, p_data) WITH ORDINALITY AS n(event_id, type, data, ordinal)
            JOIN events_event AS e ON e.event_id = n.event_id
            WHERE e.type <> n.type OR e.data <> n.data
            ORDER BY n.ordinal LIMIT 1;
            IF FOUND THEN
                RAISE EXCEPTION 'the event id % is already in use, in aggregate %, by an event %',
                    v_rejection.event_id, v_rejection.aggregate_id, v_rejection.difference
                    USING ERRCODE = 'EV002', HINT = 'To retry, repeat the same call; for a new event, use a new id.';
            END IF;
        END IF;
        RETURN QUERY
        SELECT 'stored', e.aggregate_id, e.event_id, NULL::bigint, e.version, e.position, e.timestamp, e.recorded_at,
               e.type, e.data, e.metadata
        FROM events_event AS e WHERE e.event_id = ANY (p_event_ids) ORDER BY e.position;
        RETURN;
    END IF;

    FOR v_rejection IN
        SELECT 'duplicate' AS outcome, e.aggregate_id, e.event_id, NULL::bigint AS expected, e.version, e.position,
               e.timestamp, e.recorded_at
        FROM events_event AS e WHERE e.event_id = ANY (p_event_ids)
        UNION ALL
        SELECT 'conflict', x.id, NULL, x.version, coalesce(a.version, 0), NULL, NULL, NULL
        FROM unnest(p_expected_ids, p_expected_versions) AS x(id, version)
        LEFT JOIN events_aggregate AS a ON a.aggregate_id = x.id
        WHERE v_stored = 0 AND NOT events_check_version(x.version, coalesce(a.version, 0))
        ORDER BY 2, 6
    LOOP
        IF p_raise AND v_rejection.outcome = 'duplicate' THEN
            RAISE EXCEPTION 'the event id % is already in use, in aggregate %', v_rejection.event_id, v_rejection.aggregate_id
                USING ERRCODE = 'EV002', HINT = 'To retry, repeat the same call; for a new event, use a new id.';
        ELSIF p_raise THEN
            RAISE EXCEPTION 'aggregate % was expected at version % but is at %',
                v_rejection.aggregate_id, v_rejection.expected, v_rejection.version
                USING ERRCODE = 'EV001', HINT = 'Version 0: the aggregate must not exist; -1: it must exist.';
        END IF;
        outcome := v_rejection.outcome;
        aggregate_id := v_rejection.aggregate_id;
        event_id := v_rejection.event_id;
        expected := v_rejection.expected;
        version := v_rejection.version;
        position := v_rejection.position;
        timestamp := v_rejection.timestamp;
        recorded_at := v_rejection.recorded_at;
        RETURN NEXT;
    END LOOP;
END
$$;
