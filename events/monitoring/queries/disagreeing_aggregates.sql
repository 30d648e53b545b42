-- The aggregates of the newest events whose versions differ from their last events. One statement has one snapshot.
SELECT a.aggregate_id, a.version, e.last
FROM (SELECT DISTINCT aggregate_id FROM
         (SELECT aggregate_id FROM events_event ORDER BY position DESC LIMIT %s) AS newest) AS n
JOIN events_aggregate AS a USING (aggregate_id)
CROSS JOIN LATERAL (
    SELECT coalesce(max(version), 0) AS last FROM events_event WHERE aggregate_id = n.aggregate_id
) AS e
WHERE a.version <> e.last
LIMIT 5
