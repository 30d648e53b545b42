-- The aggregates of the newest events, and their categories.
SELECT count(DISTINCT aggregate_id) AS aggregates, count(DISTINCT split_part(aggregate_id, '-', 1)) AS categories,
       max(aggregate_id) AS example
FROM (SELECT aggregate_id FROM events_event ORDER BY position DESC LIMIT %s) AS newest
