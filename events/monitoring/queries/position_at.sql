-- A binary search. The event at `low` was recorded before the moment (or `low` is 0), the events from `high` on not.
-- Positions have gaps, so each step reads the first event from the middle on; without one, the upper half is empty.
WITH RECURSIVE search(low, high) AS (
    SELECT 0::bigint, coalesce(max(position), 0) + 1 FROM events_event
    UNION ALL
    SELECT CASE WHEN e.recorded_at < %(moment)s THEN e.position ELSE s.low END,
           CASE WHEN e.recorded_at < %(moment)s THEN s.high ELSE (s.low + s.high) / 2 END
    FROM search AS s LEFT JOIN LATERAL (
        SELECT position, recorded_at FROM events_event
        WHERE position >= (s.low + s.high) / 2 AND position < s.high ORDER BY position LIMIT 1
    ) AS e ON true
    WHERE s.high - s.low > 1
)
SELECT max(low) FROM search
