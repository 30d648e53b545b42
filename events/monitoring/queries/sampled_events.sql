-- A sample of events: the positions are divided into `samples` ranges of one length, and each range gives the first
-- event from a pseudo-random place on. Equal distances could coincide with a pattern in the events. The places are the
-- same in each call, so the result changes only with the store.
SELECT e.aggregate_id, e.type, e.recorded_at
FROM (
    SELECT first + floor((hashint4(n) & 65535) / 65536.0 * (beyond - first))::bigint AS place, beyond
    FROM generate_series(0, %(samples)s - 1) AS n,
         (SELECT (%(newest)s - %(after)s)::float / %(samples)s AS length) AS range_size,
         LATERAL (SELECT %(after)s + 1 + floor(n * length)::bigint AS first,
                         %(after)s + 1 + floor((n + 1) * length)::bigint AS beyond) AS ranges
) AS places
CROSS JOIN LATERAL (
    SELECT aggregate_id, type, recorded_at FROM events_event
    WHERE position >= place AND position < beyond ORDER BY position LIMIT 1
) AS e
