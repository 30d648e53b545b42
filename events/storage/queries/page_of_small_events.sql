-- The events of one page. The data or metadata of an event that is not small is left out, without reading it. This costs
-- a tenth of what `page.sql` does.
SELECT position, aggregate_id, version, event_id, type,
       CASE WHEN pg_column_size(data) <= %s AND pg_column_compression(data) IS NULL THEN data END,
       CASE WHEN pg_column_size(metadata) <= %s AND pg_column_compression(metadata) IS NULL THEN metadata END,
       "timestamp", recorded_at
FROM ({page}) AS page
ORDER BY {order}
