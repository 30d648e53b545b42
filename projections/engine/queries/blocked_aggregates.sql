-- The aggregates of a list that have events in projections_parkedevent: one look into the index for each, however many
-- events of it wait.
SELECT given.aggregate_id FROM unnest(%(ids)s::text[]) AS given(aggregate_id)
WHERE EXISTS (
    SELECT FROM projections_parkedevent AS p
    WHERE p.projection_id = %(projection)s AND p.build = %(build)s AND p.aggregate_id = given.aggregate_id
)
