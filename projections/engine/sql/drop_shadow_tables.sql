-- Drop the schema of a rebuild, if it exists.
CREATE FUNCTION projections_drop_shadow_tables(p_projection text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('DROP SCHEMA IF EXISTS %I CASCADE', 'projections_rebuild_' || p_projection);
END
$$;
