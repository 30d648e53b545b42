-- An event whose version does not follow the version before it. The index of versions has all that this reads.
SELECT aggregate_id, version, before
FROM (
    SELECT aggregate_id, version, lag(version) OVER (PARTITION BY aggregate_id ORDER BY version) AS before FROM {events}
) AS numbered
WHERE version < 1 OR version <> before + 1 OR (before IS NULL AND version <> 1 AND {from_the_first})
ORDER BY aggregate_id, version LIMIT 1
