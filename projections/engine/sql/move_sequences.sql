-- Move the sequences of a served table beyond those of its copy, so that new rows get higher numbers than the moved rows.
--
-- It runs with the rights of the store's owner: a role that may call setval can use up all numbers of a sequence.
CREATE FUNCTION projections_move_sequences(p_projection text, p_table regclass) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_copy CONSTANT text := format('%I.%I', 'projections_rebuild_' || p_projection,
                                   (SELECT relname FROM pg_class WHERE oid = p_table));
    v_sequences record;
BEGIN
    IF NOT has_table_privilege(coalesce(nullif(current_setting('role'), 'none'), session_user)::name, p_table, 'INSERT') THEN
        RAISE EXCEPTION 'permission denied for the sequences of table %', p_table USING ERRCODE = '42501';
    END IF;
    FOR v_sequences IN
        SELECT pg_get_serial_sequence(p_table::text, attname) AS served, pg_get_serial_sequence(v_copy, attname) AS copied
        FROM pg_attribute WHERE attrelid = p_table AND attnum > 0 AND NOT attisdropped
    LOOP
        IF v_sequences.served IS NOT NULL AND v_sequences.copied IS NOT NULL THEN
            EXECUTE format(
                'SELECT setval(%L, greatest(a.last_value, b.last_value), a.is_called OR b.is_called) FROM %s AS a, %s AS b',
                v_sequences.served, v_sequences.served, v_sequences.copied);
        END IF;
    END LOOP;
END
$$;
