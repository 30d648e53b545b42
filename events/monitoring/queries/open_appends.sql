SELECT l.pid, coalesce(a.xact_start, p.prepared) AS since, a.state,
       nullif(concat_ws(' ', a.wait_event_type, a.wait_event), '') AS waits_for,
       coalesce(pg_blocking_pids(l.pid), '{}') AS blocked_by, nullif(a.application_name, '') AS application,
       coalesce(a.usename, p.owner)::text AS user, host(a.client_addr) AS client, a.query, p.gid AS prepared
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
-- A prepared transaction has no session. All its locks share a virtual transaction, and one lock is on its id.
LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND EXISTS (
    SELECT FROM pg_locks AS same
    WHERE same.pid IS NULL AND same.virtualtransaction = l.virtualtransaction
      AND same.locktype = 'transactionid' AND same.transactionid = p.transaction
)
WHERE l.locktype = 'advisory' AND l.objsubid = 2
  AND l.classid = 'events_event_position_seq'::regclass
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY since LIMIT %s
