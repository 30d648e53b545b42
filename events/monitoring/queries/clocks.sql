SELECT clock_timestamp() AS now,
       (SELECT recorded_at FROM events_event ORDER BY position DESC LIMIT 1) AS newest
