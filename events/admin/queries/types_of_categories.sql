-- The types of the last events of some aggregates of each category, those with the highest ids. The newest events of the
-- store would not do, because the events of a rare or retired category may be anywhere in it.
SELECT DISTINCT e.type
FROM unnest(%s::text[]) AS given(category)
CROSS JOIN LATERAL (
    SELECT aggregate_id FROM events_aggregate WHERE category = given.category ORDER BY aggregate_id DESC LIMIT %s
) AS a
CROSS JOIN LATERAL (
    SELECT type FROM events_event WHERE aggregate_id = a.aggregate_id ORDER BY version DESC LIMIT 50
) AS e
ORDER BY e.type
