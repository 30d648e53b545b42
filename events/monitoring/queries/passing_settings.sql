-- Settings of this session by which its writes pass the guards, wherever they were set.
SELECT name, current_setting(name) AS value
FROM unnest('{events.maintenance,session_replication_role}'::text[]) AS name
WHERE current_setting(name, true) IN ('on', 'replica')
