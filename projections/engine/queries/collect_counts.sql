-- Add the counts of sessions that have ended to the states. A session that has just begun may have the same number: then
-- its row is locked, or it inserts a new row after this transaction.
WITH ended AS (
    SELECT id FROM projections_inlinecount
    WHERE projection = ANY (%(names)s) AND backend NOT IN (SELECT pid FROM pg_stat_activity)
    FOR UPDATE SKIP LOCKED
), deleted AS (
    DELETE FROM projections_inlinecount AS c USING ended WHERE c.id = ended.id RETURNING c.projection, c.handled
)
UPDATE projections_projectionstate AS s SET handled = s.handled + d.handled
FROM (SELECT projection, sum(handled)::bigint AS handled FROM deleted GROUP BY projection) AS d
WHERE s.name = d.projection
