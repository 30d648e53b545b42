-- The positions are cut into as many stretches of one length, and out of each comes an event: the first one from a place
-- on that differs from stretch to stretch, or a pattern in what is stored could meet the one of the places. It is the
-- same at every call, so that the picture does not change while the store does not.
SELECT e.aggregate_id, e.type, e.recorded_at
FROM (
    SELECT first + floor((hashint4(n) & 65535) / 65536.0 * (beyond - first))::bigint AS place, beyond
    FROM generate_series(0, %(samples)s - 1) AS n,
         (SELECT (%(newest)s - %(after)s)::float / %(samples)s AS length) AS stretch,
         LATERAL (SELECT %(after)s + 1 + floor(n * length)::bigint AS first,
                         %(after)s + 1 + floor((n + 1) * length)::bigint AS beyond) AS stretches
) AS places
CROSS JOIN LATERAL (
    SELECT aggregate_id, type, recorded_at FROM events_event
    WHERE position >= place AND position < beyond ORDER BY position LIMIT 1
) AS e
