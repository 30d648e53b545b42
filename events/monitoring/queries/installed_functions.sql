SELECT p.proname AS name, p.prosrc AS body, p.prosecdef AS definer,
       EXISTS (SELECT FROM unnest(p.proconfig) AS each WHERE each = format('search_path=pg_catalog, %%I, pg_temp', n.nspname)) AS path
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.oid = (SELECT relnamespace FROM pg_class WHERE oid = 'events_event'::regclass)
  AND starts_with(p.proname, %s)
