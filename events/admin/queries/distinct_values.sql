-- The distinct values of an indexed column: one index look-up finds the next value, while DISTINCT would read every row.
WITH RECURSIVE jumps AS (
    (SELECT {column} FROM {table} ORDER BY {column} LIMIT 1)
    UNION ALL
    SELECT (SELECT t.{column} FROM {table} AS t WHERE t.{column} > jumps.{column} ORDER BY t.{column} LIMIT 1)
    FROM jumps WHERE jumps.{column} IS NOT NULL
)
SELECT {column} FROM jumps WHERE {column} IS NOT NULL LIMIT %s
