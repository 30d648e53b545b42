-- Events that have not been given another name of a reaction by its handlers get the new one.
UPDATE projections_timer
SET reaction = %(new)s,
    metadata = CASE WHEN metadata ->> %(key)s = %(old)s
                    THEN metadata || jsonb_build_object(%(key)s::text, %(new)s::text)
                    ELSE metadata END
WHERE reaction = %(old)s
