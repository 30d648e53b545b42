SELECT clock_timestamp() AS now,
       (SELECT CASE WHEN recorded_at BETWEEN '0001-01-02' AND '9999-12-30' THEN recorded_at END
        FROM events_event ORDER BY position DESC LIMIT 1) AS newest
