INSERT INTO projections_dailyactivity AS t (day, category, event_count)
SELECT * FROM unnest(%s::date[], %s::text[], %s::bigint[])
ON CONFLICT (day, category) DO UPDATE SET event_count = t.event_count + excluded.event_count
