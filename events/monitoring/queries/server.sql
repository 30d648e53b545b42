SELECT current_setting('server_version_num')::int AS version, current_setting('server_encoding') AS encoding,
       current_setting('default_transaction_isolation') AS isolation,
       current_setting('default_transaction_read_only') = 'on' AS read_only, pg_is_in_recovery() AS is_standby,
       -- A diagnosis has its own.
       (SELECT reset_val FROM pg_settings WHERE name = 'DateStyle') AS date_style
