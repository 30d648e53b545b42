DROP FUNCTION events_lock_aggregates(text[], text[], bigint[]);
