DROP FUNCTION events_refuse(text[], text[], uuid[], text[], bigint[], boolean);
