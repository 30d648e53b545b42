SELECT aggregate_id, count(*)
FROM (SELECT aggregate_id FROM events_event WHERE position > %(after)s ORDER BY position DESC LIMIT %(newest)s) AS e
WHERE %(categories)s::text[] IS NULL OR split_part(aggregate_id, '-', 1) = ANY (%(categories)s::text[])
GROUP BY aggregate_id ORDER BY count(*) DESC, aggregate_id LIMIT %(limit)s
