-- Delete the first timers of a reaction that are due, as many as fit into one append, and return their events.
WITH due AS MATERIALIZED (
    -- A timer that a pass cancels or replaces at this moment is skipped: when the pass has committed, it is gone, or a
    -- later call finds it.
    SELECT id, next_attempt_at, octet_length(data::text) + octet_length(metadata::text) AS bytes
    FROM projections_timer
    WHERE reaction = %(reaction)s AND next_attempt_at <= %(clock)s
    ORDER BY next_attempt_at, id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
), counted AS (
    SELECT id, next_attempt_at,
           sum(bytes) OVER oldest_first AS bytes_up_to_here,
           row_number() OVER oldest_first AS number
    FROM due
    WINDOW oldest_first AS (ORDER BY next_attempt_at, id)
)
DELETE FROM projections_timer t
USING counted c
WHERE t.id = c.id AND (c.number = 1 OR c.bytes_up_to_here <= %(max_bytes)s)
RETURNING c.number, t.id, t.key, t.due_at, t.event_id, t.aggregate_id, t.type, t.data::text, t.metadata::text, t.attempts
