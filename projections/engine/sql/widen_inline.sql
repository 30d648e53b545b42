-- Add to the state of an INLINE projection the types that code of the same version handles now.
--
-- The events of these types that were checked before count as missed, because the rows do not contain them.
CREATE FUNCTION projections_widen_inline(p_name text, p_types text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE projections_projectionstate AS s
    SET types = CASE WHEN p_types IS NOT NULL
                     THEN ARRAY(SELECT DISTINCT t FROM unnest(s.types || p_types) AS t ORDER BY t) END,
        handled = s.handled - (
            SELECT count(*) FROM events_event AS e
            WHERE e.position > s.start_position AND e.position <= s.checked_position
              AND (p_types IS NULL OR e.type = ANY (p_types)) AND e.type <> ALL (s.types))
    WHERE s.name = p_name AND s.types IS NOT NULL;
END
$$;
