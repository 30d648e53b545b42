-- The digest of the content of each event. Numbers, moments (microseconds since 2000-01-01 UTC) and ids have a fixed
-- length, and each text except the last has its length before it, so two different contents never give the same bytes.
-- JSON is PostgreSQL's text of it.
SELECT position, sha256(
    int8send(position) || int8send(version) || uuid_send(event_id)
    || timestamptz_send("timestamp") || timestamptz_send(recorded_at)
    || int4send(octet_length(aggregate_id)) || convert_to(aggregate_id, 'UTF8')
    || int4send(octet_length(type)) || convert_to(type, 'UTF8')
    || int4send(octet_length(metadata::text)) || convert_to(metadata::text, 'UTF8')
    || convert_to(data::text, 'UTF8')
)
FROM events_event WHERE position > %s AND position <= %s ORDER BY position LIMIT %s
