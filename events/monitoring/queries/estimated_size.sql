SELECT (SELECT reltuples::bigint FROM pg_class WHERE oid = 'events_event'::regclass),
       (SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = 'events_aggregate'::regclass),
       pg_total_relation_size('events_event') + pg_total_relation_size('events_aggregate'),
       (SELECT coalesce(max(position) - min(position) + 1, 0) FROM events_event)
