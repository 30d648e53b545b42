-- Lock INLINE projections for this transaction, count the events that it passes to each of them, and return for each of
-- them whether it is live, whether newer code than the caller's has built its rows, and whether the caller's code handles
-- types that the state does not name.
--
-- The lock prevents the swap of a rebuild until the transaction ends; locks of this mode do not wait for each other. The
-- swap takes the lock exclusively. If it comes after this transaction, it sees the events of this transaction. If it comes
-- before, this transaction writes to the new rows. The states are read in a statement after the lock, because only then
-- the snapshot includes a swap that this transaction has waited for.
--
-- It is the lock of a table that nobody has rights on. An advisory lock would do the same, but any role that may connect
-- can hold one, and stop all appends. One lock is enough for all projections, because a transaction enters all of them.
CREATE FUNCTION projections_enter_inline(
    p_projections jsonb  -- of each projection name, version, types (null: all) and handled, the number of events
) RETURNS TABLE (name text, live boolean, newer boolean, widens boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    LOCK TABLE projections_inline_lock IN ROW SHARE MODE;

    RETURN QUERY
    WITH found AS (
        SELECT s.name::text, s.mode = 'inline' AND s.status = 'running' AND s.version = w.version AS live,
               s.mode = 'inline' AND s.version > w.version AS newer,
               s.types IS NOT NULL AND (w.types IS NULL OR NOT s.types @> w.types) AS widens, w.handled
        FROM jsonb_to_recordset(p_projections) AS w(name text, version integer, types text[], handled bigint)
        JOIN projections_projectionstate AS s ON s.name = w.name
    ), counted AS (
        -- A row for each session, so that no transaction waits for another one.
        INSERT INTO projections_inlinecount AS c (projection, backend, handled)
        -- At most as many as in projections_count_inline.
        SELECT f.name, pg_backend_pid(), least(f.handled, 1000000000) FROM found AS f WHERE f.live AND f.handled > 0
        ON CONFLICT (projection, backend) DO UPDATE SET handled = c.handled + excluded.handled
    )
    SELECT f.name, f.live, f.newer, f.widens FROM found AS f;
END
$$;
