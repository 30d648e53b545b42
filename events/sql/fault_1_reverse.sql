DROP FUNCTION events_fault;
