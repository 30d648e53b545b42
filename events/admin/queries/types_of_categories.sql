-- The event types of some aggregates of each category: the last events of those with the highest ids. Not those of the
-- newest events of the store: the events of a rare or retired category may lie anywhere in it.
SELECT DISTINCT e.type
FROM unnest(%s::text[]) AS wanted(category)
CROSS JOIN LATERAL (
    SELECT aggregate_id FROM events_aggregate WHERE category = wanted.category ORDER BY aggregate_id DESC LIMIT %s
) AS a
CROSS JOIN LATERAL (
    SELECT type FROM events_event WHERE aggregate_id = a.aggregate_id ORDER BY version DESC LIMIT 50
) AS e
ORDER BY e.type
