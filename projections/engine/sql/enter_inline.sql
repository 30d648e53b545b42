-- Lock INLINE projections for this transaction, and return for each of them whether it is live, and whether newer code
-- than the caller's has built its rows.
--
-- The lock prevents the swap of a rebuild until the transaction ends; locks of this mode do not wait for each other. The
-- swap takes the lock exclusively. If it comes after this transaction, it sees the events of this transaction. If it comes
-- before, this transaction writes to the new rows. The states are read in a statement after the lock, because only then
-- the snapshot includes a swap that this transaction has waited for.
--
-- It is the lock of a table that nobody has rights on. An advisory lock would do the same, but any role that may connect
-- can hold one, and stop all appends. One lock is enough for all projections, because a transaction enters all of them.
CREATE FUNCTION projections_enter_inline(p_names text[], p_versions integer[])
RETURNS TABLE (name text, live boolean, newer boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    LOCK TABLE projections_inline_lock IN ROW SHARE MODE;

    RETURN QUERY
    SELECT s.name::text, s.mode = 'inline' AND s.status = 'running' AND s.version = w.version, s.mode = 'inline' AND s.version > w.version
    FROM projections_projectionstate AS s
    JOIN unnest(p_names, p_versions) AS w(name, version) ON w.name = s.name;
END
$$;
