DROP FUNCTION events_append_one(text, text, jsonb, jsonb, timestamptz, uuid, bigint, boolean);
