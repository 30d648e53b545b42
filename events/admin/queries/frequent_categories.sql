-- The categories with clearly more aggregates than most, as ANALYZE has found them.
SELECT unnest(most_common_vals::text::text[])
FROM pg_stats JOIN pg_class AS c ON c.relname = tablename AND c.relnamespace = quote_ident(schemaname)::regnamespace
WHERE c.oid = to_regclass('events_aggregate') AND attname = 'category'
