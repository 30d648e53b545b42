DROP FUNCTION events_settled_position();
