SELECT t.tgname AS name, t.tgrelid::regclass::text AS table, t.tgenabled IN ('O', 'A') AS enabled
FROM pg_trigger AS t WHERE t.tgrelid = ANY (SELECT unnest(%s::text[])::regclass)
