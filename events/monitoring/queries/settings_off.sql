SELECT name, source, coalesce(' ' || sourcefile, '') AS file FROM pg_settings
WHERE name = ANY (%s::text[]) AND setting = 'off' ORDER BY name
