-- Lock INLINE projections for this transaction, and return for each of them whether it is live, and whether newer code
-- than the caller's has built its rows.
--
-- The shared lock prevents the swap of a rebuild until the transaction ends; shared locks do not wait for each other. The
-- swap takes the lock exclusively. If it comes after this transaction, it sees the events of this transaction. If it comes
-- before, this transaction writes to the new rows. The states are read in a statement after the locks, because only then
-- the snapshot includes a swap that this transaction has waited for.
CREATE FUNCTION projections_enter_inline(p_names text[], p_versions integer[])
RETURNS TABLE (name text, live boolean, newer boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_class CONSTANT int := 'projections_projectionstate'::regclass::oid::int;
BEGIN
    -- Sorted, so that two transactions that lock several projections do not deadlock.
    PERFORM pg_advisory_xact_lock_shared(v_class, hashtext(n)) FROM (SELECT unnest(p_names) AS n ORDER BY 1) AS s;

    RETURN QUERY
    SELECT s.name::text, s.mode = 'inline' AND s.status = 'running' AND s.version = w.version, s.mode = 'inline' AND s.version > w.version
    FROM projections_projectionstate AS s
    JOIN unnest(p_names, p_versions) AS w(name, version) ON w.name = s.name;
END
$$;
