-- Return the digest of the content of an event. Numbers, moments (microseconds since 2000-01-01 UTC) and ids have a fixed
-- length, and each text except the last has its length before it, so two different contents never give the same bytes.
-- JSON is PostgreSQL's text of it. It is one SQL expression, so PostgreSQL inlines it.
CREATE FUNCTION events_event_digest(e events_event) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(
        int8send(e.position) || int8send(e.version) || uuid_send(e.event_id)
        || timestamptz_send(e."timestamp") || timestamptz_send(e.recorded_at)
        || int4send(octet_length(e.aggregate_id)) || convert_to(e.aggregate_id, 'UTF8')
        || int4send(octet_length(e.type)) || convert_to(e.type, 'UTF8')
        || int4send(octet_length(e.metadata::text)) || convert_to(e.metadata::text, 'UTF8')
        || convert_to(e.data::text, 'UTF8')
    )
$$;
