-- Raise the checked position, so that the next count is short. What is missed stays missed: stored minus handled is the
-- same before and after. The first time, the position is kept up to which nothing was missed.
UPDATE projections_projectionstate AS s
SET checked_position = %(settled)s,
    handled = s.handled - (
        SELECT count(*) FROM events_event AS e
        WHERE e.position > s.checked_position AND e.position <= %(settled)s
          AND (s.types IS NULL OR e.type = ANY (s.types))),
    missed_after = CASE WHEN s.name = ANY (%(missing)s) THEN coalesce(s.missed_after, s.checked_position) END
WHERE s.name = ANY (%(names)s) AND s.checked_position < %(settled)s
