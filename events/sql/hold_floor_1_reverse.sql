DROP FUNCTION events_hold_floor();
