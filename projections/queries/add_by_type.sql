INSERT INTO projections_eventtypeactivity AS t
    (type, event_count, first_position, last_position, first_recorded_at, last_recorded_at)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::timestamptz[], %s::timestamptz[])
ON CONFLICT (type) DO UPDATE
SET event_count = t.event_count + excluded.event_count,
    last_position = excluded.last_position,
    last_recorded_at = excluded.last_recorded_at
