-- Sessions that hold the advisory lock of a floor, and have not appended: in another mode, or without the right to append.
SELECT l.pid, a.usename::text AS user, nullif(a.application_name, '') AS application, host(a.client_addr) AS client,
       a.state, a.backend_start AS since
FROM pg_locks AS l JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.classid = 'events_event_position_seq'::regclass AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.pid IS DISTINCT FROM pg_backend_pid()
  AND (l.mode <> 'ShareLock' OR NOT EXISTS (
      SELECT FROM pg_proc AS p
      WHERE p.pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = 'events_event'::regclass)
        AND p.proname IN ('events_append', 'events_append_one')
        AND has_function_privilege(a.usesysid, p.oid, 'EXECUTE')))
LIMIT 10
