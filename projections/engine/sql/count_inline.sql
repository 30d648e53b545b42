-- Count the events of a further append of a transaction that has entered its INLINE projections already.
CREATE FUNCTION projections_count_inline(p_names text[], p_handled bigint[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO projections_inlinecount AS c (projection, backend, handled)
    -- No transaction passes more events. Without this limit, a role that may count could bring the sums beyond the range of
    -- bigint, and each check for missed events would fail.
    SELECT n.name, pg_backend_pid(), least(greatest(n.handled, 0), 1000000000)
    FROM unnest(p_names, p_handled) AS n(name, handled)
    ON CONFLICT (projection, backend) DO UPDATE SET handled = c.handled + excluded.handled;
END
$$;
