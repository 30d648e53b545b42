WITH seen AS MATERIALIZED (
    SELECT width_bucket(recorded_at, %(starts)s::timestamptz[]) AS period, type,
           split_part(aggregate_id, '-', 1) AS category
    FROM ({events}) AS events
    WHERE %(categories)s::text[] IS NULL OR split_part(aggregate_id, '-', 1) = ANY (%(categories)s::text[])
)
SELECT period, category, NULL, count(*) FROM seen GROUP BY period, category
UNION ALL
(SELECT NULL, NULL, type, count(*) FROM seen GROUP BY type ORDER BY count(*) DESC, type LIMIT %(types)s)
