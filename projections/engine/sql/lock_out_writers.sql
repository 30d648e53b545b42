-- Lock INLINE projections against writers that run them, until the transaction ends; see projections_enter_inline.
--
-- It waits for the transactions that already run an INLINE projection, and other writers wait behind it, so the caller sets
-- a lock_timeout. Dumps and other readers of the table are not waited for.
CREATE FUNCTION projections_lock_out_writers() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE projections_inline_lock IN EXCLUSIVE MODE;
END
$$;
