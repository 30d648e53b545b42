SELECT (SELECT count(*) FROM (SELECT FROM events_event LIMIT %s) AS e),
       (SELECT count(*) FROM (SELECT FROM events_aggregate LIMIT %s) AS a)
