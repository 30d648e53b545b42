-- The first event below position 1, and the first above the last position that was taken.
SELECT position, last
FROM (SELECT CASE WHEN is_called THEN last_value ELSE 0 END AS last FROM events_event_position_seq) AS taken
CROSS JOIN LATERAL (
    (SELECT position FROM events_event WHERE position < 1 ORDER BY position LIMIT 1)
    UNION ALL
    (SELECT position FROM events_event WHERE position > last ORDER BY position LIMIT 1)
) AS found
LIMIT 1
