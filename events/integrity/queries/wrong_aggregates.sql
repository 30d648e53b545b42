-- An aggregate whose version is not that of its last event; without events or without its row: NULL.
SELECT aggregate_id, a.version, e.version
FROM events_aggregate AS a
FULL JOIN (SELECT aggregate_id, max(version) AS version FROM events_event GROUP BY aggregate_id) AS e USING (aggregate_id)
WHERE a.version IS DISTINCT FROM e.version
ORDER BY aggregate_id LIMIT 1
