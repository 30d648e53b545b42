-- What roles may do that neither the owner of the store nor events_grants has to give them. A grantee of 0 is PUBLIC.
WITH store AS (
    SELECT relnamespace AS schema, relowner AS owner FROM pg_class WHERE oid = 'events_event'::regclass
), rights AS (
    SELECT 'create schemas in the database' AS may, 'schema' AS what, a.grantee,
           format('CREATE ON DATABASE %%I', d.datname) AS grant_of, ARRAY[d.datdba] AS owners
    FROM pg_database AS d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
    WHERE d.datname = current_database() AND a.privilege_type = 'CREATE'
    UNION ALL
    -- The schema of the store, and all that are searched before and after it.
    SELECT format('create functions and tables in the schema %%s', n.nspname), 'schema', a.grantee,
           format('CREATE ON SCHEMA %%I', n.nspname), ARRAY[n.nspowner]
    FROM pg_namespace AS n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) AS a
    WHERE a.privilege_type = 'CREATE'
      AND (n.oid = (SELECT schema FROM store) OR n.nspname = ANY (current_schemas(false)))
    UNION ALL
    SELECT format('%%s %%s', a.privilege_type, c.relname), 'table', a.grantee,
           format('%%s ON %%s %%s', a.privilege_type, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.oid::regclass),
           ARRAY[c.relowner]
    FROM pg_class AS c, aclexplode(c.relacl) AS a
    WHERE c.oid IN ('events_event'::regclass, 'events_aggregate'::regclass, 'events_seal'::regclass,
                    'events_event_position_seq'::regclass)
      AND a.privilege_type <> 'SELECT'
    UNION ALL
    SELECT format('call %%s', p.proname), 'function', a.grantee, format('EXECUTE ON FUNCTION %%s', p.oid::regprocedure),
           ARRAY[p.proowner]
    FROM pg_proc AS p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) AS a
    WHERE p.pronamespace = (SELECT schema FROM store) AND p.proname ~ '^(events|projections)_' AND a.grantee = 0
)
SELECT coalesce(r.rolname, 'PUBLIC') AS role, may, what,
       format('REVOKE %%s FROM %%s', grant_of, coalesce(quote_ident(r.rolname), 'PUBLIC')) AS remedy
FROM rights LEFT JOIN pg_roles AS r ON r.oid = grantee
WHERE grantee <> ALL (owners) AND grantee <> (SELECT owner FROM store) AND NOT coalesce(r.rolsuper, false)
  AND NOT EXISTS (SELECT FROM pg_database WHERE datname = current_database() AND datdba = grantee)
  AND coalesce(r.rolname, '') <> 'pg_database_owner'
ORDER BY what, may, role
