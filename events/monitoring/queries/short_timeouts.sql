-- Timeouts of this role that end statements, transactions or waits for locks early; a diagnosis has timeouts of its own.
SELECT name, reset_val || ' ms' AS value FROM pg_settings
WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout')
  AND reset_val::bigint > 0 AND reset_val::bigint * interval '1 ms' < %s
ORDER BY name
