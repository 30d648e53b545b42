DROP FUNCTION projections_enter_inline(text[], integer[]);
