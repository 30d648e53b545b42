-- Create the schema of a rebuild with empty copies of a projection's tables, and let the operators write to them.
--
-- It runs with the rights of the store's owner, so that an operator needs no right to create a schema: a role that can
-- create schemas can create one with the name of another role, which comes first in that role's search_path. The copies
-- belong to the owner too; otherwise a trigger that an operator adds to one would run as the role that continues the rebuild.
CREATE FUNCTION projections_create_shadow_tables(
    p_projection text,   -- a name of a projection, which becomes a part of the schema's name
    p_tables regclass[]  -- the tables to copy; the caller must be allowed to write them
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_schema CONSTANT text := 'projections_rebuild_' || p_projection;
    v_owner CONSTANT oid := current_user::regrole;
    v_caller CONSTANT name := coalesce(nullif(current_setting('role'), 'none'), session_user);
    v_function CONSTANT regprocedure := 'projections_create_shadow_tables(text, regclass[])'::regprocedure;
    v_table record;
    v_key record;
    v_role regrole;
BEGIN
    IF p_projection !~ '^[a-z][a-z0-9_]{0,39}$' THEN
        RAISE EXCEPTION '% is not the name of a projection', quote_literal(p_projection) USING ERRCODE = '22023';
    END IF;
    -- From here on, PostgreSQL writes the names of all tables with their schemas.
    SET LOCAL search_path = pg_catalog, pg_temp;
    EXECUTE format('CREATE SCHEMA %I', v_schema);

    FOR v_table IN SELECT oid::regclass AS served, relname, relowner FROM pg_class WHERE oid = ANY (p_tables) LOOP
        -- A copy has the defaults and indexes of its table. Their expressions run with the rights of the owner, in ANALYZE
        -- for example. An operator can make a temporary table whose expressions call functions of the operator.
        IF v_table.relowner <> v_owner THEN
            RAISE EXCEPTION 'the table % does not belong to the owner of the store', v_table.served USING ERRCODE = '42501',
                HINT = format('ALTER TABLE %s OWNER TO %s', v_table.served, v_owner::regrole);
        END IF;
        IF NOT has_table_privilege(v_caller, v_table.served, 'INSERT') THEN
            RAISE EXCEPTION 'permission denied for table %: a copy of it gives no more rights than the table',
                v_table.served USING ERRCODE = '42501';
        END IF;
        EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL)', v_schema, v_table.relname, v_table.served);
    END LOOP;

    -- Foreign keys between these tables are copied because they may cascade. The swap checks those to other tables.
    FOR v_key IN
        SELECT c.relname, k.conname,
               replace(pg_get_constraintdef(k.oid), format(' REFERENCES %s(', k.confrelid::regclass),
                       format(' REFERENCES %I.%I(', v_schema, r.relname)) AS definition
        FROM pg_constraint AS k
        JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_class AS r ON r.oid = k.confrelid
        WHERE k.contype = 'f' AND k.conrelid = ANY (p_tables) AND k.confrelid = ANY (p_tables)
    LOOP
        EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', v_schema, v_key.relname, v_key.conname, v_key.definition);
    END LOOP;

    FOR v_role IN
        SELECT a.grantee FROM pg_proc AS p, aclexplode(p.proacl) AS a WHERE p.oid = v_function AND a.grantee <> v_owner
    LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %s', v_schema, v_role);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %s', v_schema, v_role);
        EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO %s', v_schema, v_role);
    END LOOP;
END
$$;
