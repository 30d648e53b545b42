SELECT p.proname AS name, p.prosrc AS body, p.prosecdef AS definer,
       EXISTS (SELECT FROM unnest(p.proconfig) AS each WHERE each LIKE 'search_path=pg_catalog, %%') AS path
FROM pg_proc AS p
WHERE p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events_event'::regclass)
  AND starts_with(p.proname, 'events_')
