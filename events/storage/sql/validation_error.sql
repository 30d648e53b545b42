-- Say what is wrong with an event; NULL: nothing. EventStore rejects the same earlier, and names the place.
--
-- A function, and no CHECK constraints: those are read from the catalogue and made ready anew for every statement, which
-- cost a third of an append's time. Nothing comes into the tables but by the append functions, which ask this first. In
-- SQL, of one expression: so it becomes part of the expressions that call it.
CREATE FUNCTION events_validation_error(
    aggregate_id text, type text, data jsonb, metadata jsonb, happened timestamptz
) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN aggregate_id = '' OR length(aggregate_id) > 255 OR aggregate_id COLLATE "C" ~ '[\u0001-\u001f\u007f-\u009f]'
            THEN 'the aggregate id takes 1 to 255 characters, none of them a control character'
        WHEN type = '' OR length(type) > 255 OR type COLLATE "C" ~ '[\u0001-\u001f\u007f-\u009f]'
            THEN 'the type takes 1 to 255 characters, none of them a control character'
        WHEN jsonb_typeof(data) <> 'object' THEN 'the data must be a JSON object'
        WHEN jsonb_typeof(metadata) <> 'object' THEN 'the metadata must be a JSON object'
        WHEN length(metadata ->> 'correlation_id') > 255 THEN 'the correlation_id takes at most 255 characters'
        -- A day within Python's years, so that it can be shown in any time zone.
        WHEN happened NOT BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'
            THEN 'the timestamp must lie from 0001-01-02 to 9999-12-30'
    END
$$;
