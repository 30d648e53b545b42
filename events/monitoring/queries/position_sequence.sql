SELECT s.seqincrement AS step, s.seqcache AS cache, s.seqcycle AS cycles,
       CASE WHEN v.is_called THEN v.last_value ELSE 0 END AS last,
       coalesce((SELECT max(position) FROM events_event), 0) AS newest,
       coalesce((SELECT min(position) FROM events_event), 1) AS oldest
FROM pg_sequence AS s, events_event_position_seq AS v
WHERE s.seqrelid = 'events_event_position_seq'::regclass
