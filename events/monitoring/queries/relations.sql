SELECT c.relname AS name, pg_relation_size(c.oid) + coalesce(pg_relation_size(nullif(c.reltoastrelid, 0)), 0) AS bytes,
       CASE WHEN c.relkind = 'r' THEN age(c.relfrozenxid) END AS age
FROM pg_class AS c
WHERE c.oid IN (
    SELECT table_name::regclass FROM unnest(%s::text[]) AS table_name
    UNION ALL
    SELECT i.indexrelid FROM pg_index AS i
    WHERE i.indrelid IN (SELECT table_name::regclass FROM unnest(%s::text[]) AS table_name)
)
ORDER BY c.relname
