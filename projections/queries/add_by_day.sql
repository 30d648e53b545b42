-- Adds counts (days, categories in the order of their first events, numbers) to the rows of their days. The categories
-- beyond a limit for each day share a row.
WITH given AS (
    SELECT * FROM unnest(%(days)s::date[], %(categories)s::text[], %(counts)s::bigint[])
        WITH ORDINALITY AS g(day, category, event_count, place)
), stored AS (
    SELECT day, category FROM projections_dailyactivity WHERE day = ANY (%(days)s::date[])
), ranked AS (
    SELECT given.*, stored.category IS NOT NULL AS has_row,
           (SELECT count(*) FROM stored AS s WHERE s.day = given.day) AS rows_before,
           row_number() OVER (PARTITION BY given.day, stored.category IS NULL ORDER BY place) AS rank
    FROM given LEFT JOIN stored USING (day, category)
)
INSERT INTO projections_dailyactivity AS t (day, category, event_count)
SELECT day, CASE WHEN has_row OR rows_before + rank <= %(limit)s THEN category ELSE %(others)s END, sum(event_count)
FROM ranked GROUP BY 1, 2
ON CONFLICT (day, category) DO UPDATE SET event_count = t.event_count + excluded.event_count
