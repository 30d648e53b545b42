-- Make the empty tables of a rebuild check the foreign keys of the served tables to tables that are not rebuilt.
CREATE FUNCTION projections_check_references(p_projection text, p_tables regclass[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_key record;
BEGIN
    FOR v_key IN
        SELECT c.relname, k.conname, k.confrelid::regclass::text AS referenced,
               string_agg(format('b.%I = ($1).%I', r.attname, a.attname), ' AND ') AS refers,
               string_agg(format('a.%I = ($1).%I', a.attname, a.attname), ' AND ') AS same,
               string_agg(format('($1).%I IS NOT NULL', a.attname), ' AND ') AS complete,
               CASE WHEN k.condeferrable THEN 'DEFERRABLE ' ELSE '' END
               || CASE WHEN k.condeferred THEN 'INITIALLY DEFERRED' ELSE '' END AS moment
        FROM pg_constraint AS k
        JOIN pg_class AS c ON c.oid = k.conrelid
        JOIN LATERAL unnest(k.conkey, k.confkey) AS n(referring, referenced) ON true
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.referring
        JOIN pg_attribute AS r ON r.attrelid = k.confrelid AND r.attnum = n.referenced
        -- Only the owner's tables have copies; see projections_create_shadow_tables.
        WHERE k.contype = 'f' AND c.relowner = current_user::regrole AND k.conparentid = 0
          AND k.conrelid = ANY (p_tables) AND k.confrelid <> ALL (p_tables)
          -- PostgreSQL 18 has foreign keys that it does not enforce.
          AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
        GROUP BY k.oid, c.relname
    LOOP
        EXECUTE format(
            'CREATE CONSTRAINT TRIGGER %I AFTER INSERT OR UPDATE ON %I.%I %s FOR EACH ROW'
            ' EXECUTE FUNCTION projections_check_reference(%L, %L, %L, %L)',
            v_key.conname, 'projections_rebuild_' || p_projection, v_key.relname, v_key.moment,
            v_key.referenced, v_key.refers, v_key.same, v_key.complete);
    END LOOP;
END
$$;
