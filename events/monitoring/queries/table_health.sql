SELECT c.relname AS name, coalesce(s.n_dead_tup, 0) AS dead, coalesce(s.n_live_tup, 0) AS live,
       age(c.relfrozenxid) AS age, current_setting('autovacuum_freeze_max_age')::bigint AS freeze
FROM pg_class AS c LEFT JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE c.oid = ANY (SELECT unnest(%s::text[])::regclass)
