-- Functions, tables and views with names of the store, in schemas with the name of a role or before the store's schema in
-- this session's search_path, which belong to another role than the store.
WITH store AS (
    SELECT relnamespace AS schema, relowner AS owner FROM pg_class WHERE oid = to_regclass(%s)
), objects AS (
    SELECT 'function' AS kind, proname AS name, pronamespace AS schema, proowner AS owner FROM pg_proc
    UNION ALL
    SELECT 'table', relname, relnamespace, relowner FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'S', 'f', 'p')
)
SELECT o.kind, o.name, n.nspname AS schema, r.rolname AS owner
FROM objects AS o JOIN pg_namespace AS n ON n.oid = o.schema JOIN pg_roles AS r ON r.oid = o.owner
WHERE o.name ~ '^(events|projections)_' AND NOT r.rolsuper
  AND o.schema <> (SELECT schema FROM store) AND o.owner <> (SELECT owner FROM store)
  AND (EXISTS (SELECT FROM pg_roles WHERE rolname = n.nspname) OR n.nspname = ANY (current_schemas(false)))
ORDER BY 3, 2 LIMIT 5
