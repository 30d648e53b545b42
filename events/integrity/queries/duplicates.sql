SELECT min(position), {column}::text FROM events_event GROUP BY {column} HAVING count(*) > 1 ORDER BY 1 LIMIT 1
