-- Sessions that hold a lock on a table of the store which stops others, and sessions that others wait for at such a table.
WITH tables AS MATERIALIZED (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events_event'::regclass)
      AND relkind = 'r' AND relname ~ '^(events|projections)_'
), locks AS MATERIALIZED (
    SELECT l.pid, l.virtualtransaction, l.mode, l.granted, t.relname
    FROM pg_locks AS l JOIN tables AS t ON t.oid = l.relation
    WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
), waits AS MATERIALIZED (
    -- The pid of a prepared transaction is 0 here.
    SELECT w.pid, unnest(pg_blocking_pids(w.pid)) AS holder
    FROM pg_locks AS w
    WHERE NOT w.granted AND w.waitstart < clock_timestamp() - %s AND w.pid IN (SELECT pid FROM locks)
)
SELECT l.pid, p.gid AS prepared, coalesce(a.usename, p.owner)::text AS user, nullif(a.application_name, '') AS application,
       host(a.client_addr) AS client, a.state, coalesce(a.xact_start, p.prepared) AS since,
       array_agg(DISTINCT l.relname::text ORDER BY l.relname::text) AS tables,
       coalesce(array_agg(DISTINCT l.relname::text) FILTER (WHERE l.mode IN (
           'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')), '{}') AS closed,
       (SELECT count(DISTINCT w.pid) FROM waits AS w WHERE w.holder = coalesce(l.pid, 0)) AS waiting
FROM locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND EXISTS (
    SELECT FROM pg_locks AS same
    WHERE same.pid IS NULL AND same.virtualtransaction = l.virtualtransaction
      AND same.locktype = 'transactionid' AND same.transactionid = p.transaction
)
WHERE l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
GROUP BY l.pid, p.gid, 3, 4, 5, a.state, 7
HAVING (SELECT count(*) FROM waits AS w WHERE w.holder = coalesce(l.pid, 0)) > 0
    OR (coalesce(a.xact_start, p.prepared) < clock_timestamp() - %s AND bool_or(l.mode IN (
           'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')))
ORDER BY 7 LIMIT 10
