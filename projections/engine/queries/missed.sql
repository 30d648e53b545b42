-- The number of events that each live INLINE projection has missed: those stored above the checked position, minus those
-- passed to it. It is one statement, so that events and counts are of one snapshot; each writer commits both together.
SELECT s.name,
       CASE WHEN s.types IS NULL
            THEN (SELECT count(*) FROM events_event AS e WHERE e.position > s.checked_position)
            ELSE (SELECT count(*) FROM events_event AS e WHERE e.type = ANY (s.types) AND e.position > s.checked_position)
       END AS stored,
       s.handled + coalesce((SELECT sum(c.handled)::bigint FROM projections_inlinecount AS c WHERE c.projection = s.name), 0)
FROM projections_projectionstate AS s
WHERE s.mode = 'inline' AND s.status = 'running'
