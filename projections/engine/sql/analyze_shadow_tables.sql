-- Collect the statistics of a rebuild's tables, which only their owner may.
CREATE FUNCTION projections_analyze_shadow_tables(p_projection text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_table regclass;
BEGIN
    FOR v_table IN
        SELECT oid FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident('projections_rebuild_' || p_projection)) AND relkind = 'r'
    LOOP
        EXECUTE format('ANALYZE %s', v_table);
    END LOOP;
END
$$;
