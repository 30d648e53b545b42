-- Return whether an aggregate is at the version that a caller expects.
--
-- This is the only place that has the rule for expected versions. PostgreSQL inlines an immutable function of one SQL
-- expression, so a call costs no more than the expression.
CREATE FUNCTION events_check_version(
    expected bigint,  -- a version; 0: the aggregate must not exist; -1: it must exist; NULL: any version
    actual bigint     -- the current version; 0: the aggregate does not exist
) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT expected IS NULL OR CASE expected WHEN -1 THEN actual > 0 ELSE actual = expected END
$$;
