SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i
WHERE i.indrelid = ANY (SELECT unnest(%s::text[])::regclass) AND NOT (i.indisvalid AND i.indisready)
