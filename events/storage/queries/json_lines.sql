-- The events of one page as JSON Lines, as many as fit into a number of bytes; their last position and their number.
SELECT string_agg(line, E'\n' ORDER BY position), max(position), count(*)
FROM (
    SELECT position, line, sum(octet_length(line)) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING)
        - octet_length(line) AS bytes_before
    -- OFFSET 0 makes PostgreSQL compute each line once, not once for each use.
    FROM (SELECT page.position, row_to_json(page)::text AS line FROM ({page}) AS page OFFSET 0) AS written
) AS measured
WHERE bytes_before < %s
