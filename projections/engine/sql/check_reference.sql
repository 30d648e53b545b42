-- The trigger of a rebuild's tables that stands for a foreign key to a table which is not rebuilt. A row that violates the
-- foreign key then fails with the event that has made it, and not at the end, when the rows are moved.
--
-- It is no real foreign key: creating and dropping one locks the referenced table against its own users, and while a
-- rebuild runs, nobody could delete rows that only its tables refer to.
CREATE FUNCTION projections_check_reference() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    v_referenced CONSTANT text := TG_ARGV[0];
    v_on_missing CONSTANT text := TG_ARGV[1];  -- ... b.user_id = $1.user_id ...: the row of $1 refers to b
    v_same_reference CONSTANT text := TG_ARGV[2];
    v_complete CONSTANT text := TG_ARGV[3];  -- no column is NULL
    v_violated boolean;
BEGIN
    -- The check may run at the end of the transaction. A row that was changed or deleted meanwhile violates nothing.
    EXECUTE format(
        'SELECT %s AND NOT EXISTS (SELECT FROM %s AS b WHERE %s) AND EXISTS (SELECT FROM %s AS a WHERE %s)',
        v_complete, v_referenced, v_on_missing, TG_RELID::regclass, v_same_reference)
    INTO v_violated USING NEW;
    IF v_violated THEN
        RAISE EXCEPTION 'a row of % violates the foreign key % to %', TG_TABLE_NAME, TG_NAME, v_referenced
            USING ERRCODE = '23503';
    END IF;
    RETURN NULL;
END
$$;
