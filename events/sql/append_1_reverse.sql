DROP FUNCTION events_append(text[], text[], jsonb[], jsonb[], timestamptz[], uuid[], text[], bigint[], boolean);
