-- When the next timer of each reaction fires: one look into the index for each.
SELECT name, due.next_attempt_at
FROM unnest(%s::text[]) AS name
CROSS JOIN LATERAL (
    SELECT next_attempt_at
    FROM projections_timer
    WHERE reaction = name AND next_attempt_at IS NOT NULL
    ORDER BY next_attempt_at
    LIMIT 1
) AS due
