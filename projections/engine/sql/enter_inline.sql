-- Let this transaction run INLINE projections: return, for each one named, whether it is live, and whether its rows are
-- of newer code than the caller's.
--
-- The shared lock keeps a projection from being switched to rebuilt rows until the transaction ends, and shared locks
-- never wait for each other. The switch takes the lock exclusively, so it comes either after all that this transaction
-- writes, and then sees its events; or before, and then this transaction writes to the new rows. That is why the states
-- are read in a statement after the locks: it sees what a switch has committed that we had to wait for.
CREATE FUNCTION projections_enter_inline(p_names text[], p_versions integer[])
RETURNS TABLE (name text, live boolean, newer boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_class CONSTANT int := 'projections_projectionstate'::regclass::oid::int;
BEGIN
    -- Sorted, as everybody does who takes several.
    PERFORM pg_advisory_xact_lock_shared(v_class, hashtext(n)) FROM (SELECT unnest(p_names) AS n ORDER BY 1) AS s;

    RETURN QUERY
    SELECT s.name::text, s.mode = 'inline' AND s.status = 'running' AND s.version = w.version, s.mode = 'inline' AND s.version > w.version
    FROM projections_projectionstate AS s
    JOIN unnest(p_names, p_versions) AS w(name, version) ON w.name = s.name;
END
$$;
