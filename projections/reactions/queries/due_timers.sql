-- The timers of a reaction that are due, oldest first, with the bytes that each takes. A timer that a pass cancels or
-- replaces at this moment is skipped: either it is gone when the pass has committed, or a later call finds it.
SELECT id, octet_length(data::text) + octet_length(metadata::text)
FROM projections_timer
WHERE reaction = %s AND next_attempt_at <= %s
ORDER BY next_attempt_at, id
LIMIT %s
FOR UPDATE SKIP LOCKED
