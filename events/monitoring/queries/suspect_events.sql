-- The positions of events that Python may be unable to represent: by a moment outside its years, a long number, or many
-- brackets. Too many digits are 309 or more, and 255 is PostgreSQL's longest repetition. Such values take 150 bytes or
-- more, unless they are compressed, or consist of zeros, such as 1e5000 and 1e-999: then only their text is long.
SELECT position
FROM events_event
CROSS JOIN LATERAL (
    SELECT CASE WHEN pg_column_size(data) > 150 OR pg_column_compression(data) <> ''
                     OR octet_length(data::text) > 250 THEN data::text
                ELSE '' END AS data_text,
           CASE WHEN pg_column_size(metadata) > 150 OR pg_column_compression(metadata) <> ''
                     OR octet_length(metadata::text) > 250 THEN metadata::text
                ELSE '' END AS metadata_text
    OFFSET 0  -- so that PostgreSQL writes each text once, not once for each use
) AS written
WHERE position > %(after)s AND position <= %(up_to)s AND (
    "timestamp" NOT BETWEEN %(earliest)s AND %(latest)s
    OR recorded_at NOT BETWEEN %(earliest)s AND %(latest)s
    OR data_text ~ '[0-9]{255}' OR length(data_text) - length(translate(data_text, '[{', '')) > 254
    OR metadata_text ~ '[0-9]{255}' OR length(metadata_text) - length(translate(metadata_text, '[{', '')) > 254
)
ORDER BY position DESC LIMIT %(limit)s
