-- Return what is wrong with an event; NULL: nothing. EventStore makes the same checks earlier, and names the field.
--
-- CHECK constraints would do the same, but PostgreSQL reads and prepares them again for each statement, which took a
-- third of an append's time. Only the append functions can write the tables, and they call this function first. It is
-- one SQL expression, so PostgreSQL inlines it.
CREATE FUNCTION events_validation_error(
    aggregate_id text, type text, data jsonb, metadata jsonb, happened timestamptz, content_is_checked boolean
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE
        -- Clients remove the segments . and .. from addresses (RFC 3986), and so never reach them.
        WHEN aggregate_id = '' OR length(aggregate_id) > 255
            OR aggregate_id COLLATE "C" ~ '[\u0001-\u001f\u007f-\u009f]|^\.\.?$'
            THEN 'the aggregate id must have 1 to 255 characters and no control characters, and not be "." or ".."'
        WHEN type = '' OR length(type) > 255 OR type COLLATE "C" ~ '[\u0001-\u001f\u007f-\u009f]'
            THEN 'the type must have 1 to 255 characters and no control characters'
        WHEN jsonb_typeof(data) <> 'object' THEN 'the data must be a JSON object'
        WHEN jsonb_typeof(metadata) <> 'object' THEN 'the metadata must be a JSON object'
        WHEN length(metadata ->> 'correlation_id') > 255 THEN 'the correlation_id must have at most 255 characters'
        -- A day within Python's years, so that it can be shown in any time zone.
        WHEN happened NOT BETWEEN '0001-01-02 00:00+00' AND '9999-12-30 00:00+00'
            THEN 'the timestamp must be from 0001-01-02 to 9999-12-30'
        -- Shorter JSON has nothing that Python cannot read, and is below every sensible limit.
        WHEN NOT content_is_checked AND octet_length(data::text) + octet_length(metadata::text) > 250
            THEN events_content_error(data, metadata)
    END
$$;
