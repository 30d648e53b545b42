-- The events of one page, as many as fit into a budget of bytes, and at least one. If more follow, a further row without
-- data says so.
--
-- The weight of an event is the size of its JSON in binary form, because the size of Python's objects depends on the
-- number of values, as the binary form does, and not on the length of the text. The binary size of a compressed value
-- that is stored apart would be known only after reading it, so the largest possible size counts: pglz compresses 1:90
-- at most, lz4 1:255.
SELECT position, aggregate_id, version, event_id, type,
       CASE WHEN running <= budget THEN data END, CASE WHEN running <= budget THEN metadata END,
       "timestamp", recorded_at
FROM (
    SELECT weighed.*, sum(weight) OVER running AS running,
           greatest(%s::bigint, first_value(weight) OVER running) AS budget
    FROM (
        SELECT page.*, 100 + CASE
            WHEN pg_column_compression(data) IS NULL THEN pg_column_size(data)
            -- `#> '{{}}'` returns the value itself, no longer compressed.
            WHEN pg_column_size(data) < 2000 THEN pg_column_size(data #> '{{}}')
            ELSE least(pg_column_size(data), 4000000) * CASE pg_column_compression(data) WHEN 'lz4' THEN 255 ELSE 90 END
        END + CASE
            WHEN pg_column_compression(metadata) IS NULL THEN pg_column_size(metadata)
            WHEN pg_column_size(metadata) < 2000 THEN pg_column_size(metadata #> '{{}}')
            ELSE least(pg_column_size(metadata), 4000000)
                * CASE pg_column_compression(metadata) WHEN 'lz4' THEN 255 ELSE 90 END
        END AS weight
        FROM ({page}) AS page
    ) AS weighed
    WINDOW running AS (ORDER BY {order} ROWS UNBOUNDED PRECEDING)
) AS summed
WHERE running - weight <= budget
ORDER BY {order}
