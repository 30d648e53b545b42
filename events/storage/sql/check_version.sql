-- Return whether an aggregate is at the version that a caller expects.
--
-- The rule for expected versions is written here only. PostgreSQL inlines a function of one immutable SQL expression, so
-- a call costs no more than the expression.
CREATE FUNCTION events_check_version(
    expected bigint,  -- a version; 0: the aggregate must not exist; -1: it must exist; NULL: any version
    actual bigint     -- the version it is at; 0: it does not exist
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT expected IS NULL OR CASE expected WHEN -1 THEN actual > 0 ELSE actual = expected END
$$;
